# SPDX-License-Identifier: Apache-2.0
"""Each page shows its own value, all of it and nothing else, escaped, under our content policy."""

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from importlib.resources import files
from pathlib import Path

import pytest
from jinja2 import UndefinedError, meta, nodes

from radkeep.web.portal import pages
from radkeep.web.portal.pages.account import AccountPage
from radkeep.web.portal.pages.enrolment import EnrolCodesPage, EnrolPage
from radkeep.web.portal.pages.entry import (
    ContinuePage,
    DemoPage,
    DemoPerson,
    FactorPage,
    SignInPage,
    UnlockPage,
)
from radkeep.web.portal.pages.frame import Fact, Frame, Link, Page
from radkeep.web.portal.pages.problem import ProblemPage
from radkeep.web.portal.pages.studies import (
    Patient,
    SearchErrors,
    SearchForm,
    SeriesRow,
    StudiesPage,
    StudyPage,
    StudyRow,
)
from radkeep.web.portal.qr import in_groups, qr_image
from radkeep.web.portal.rendering import environment, render
from radkeep.web.portal.search_form import MODALITIES

KEY = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NOBODY = Frame(demo=False, version="0.1.0")
PERSON = Frame(
    demo=True,
    version="0.1.0",
    person="dr.reader@clinic.example",
    section="Studies",
    sections=(Link(name="Studies", href="/studies"),),
)

_NAMES = ("Synthetic, Thorax", "Müller-Lüdenscheidt, Jürgen", "Yamada, Tarou (山田)", "No name")


def rows(count: int = 12) -> tuple[StudyRow, ...]:
    return tuple(
        StudyRow(
            href=f"/studies/1.2.826.{n}",
            viewer=f"/viewer/viewer?StudyInstanceUIDs=1.2.826.{n}",
            patient=_NAMES[n % 4],
            patient_id=f"SYN{n:05}",
            birth="1960-01-01",
            when=f"2026-11-{24 - n % 20:02} 10:15",
            modalities=(("CT",), ("MR", "SR"), ("CR",), ("CT", "PT", "SR"))[n % 4],
            description=("CT THORAX WITH CONTRAST", "Brain T1 MPR", "Chest PA", "")[n % 4],
            accession=f"ACC{n:06}",
            series=str(1 + n % 5),
            instances=str(1 + n * 37),
        )
        for n in range(count)
    )


def studies(**changes: object) -> StudiesPage:
    fields: dict[str, object] = {
        "frame": PERSON,
        "search": SearchForm(name="mü", date_from="2026-01-01"),
        "modalities": MODALITIES,
        "narrowed": True,
        "rows": rows(),
        "first": 51,
        "previous_page": "/studies?page=1",
        "next_page": "/studies?page=3",
    }
    return StudiesPage(**(fields | changes))


def every_page() -> dict[str, Page]:
    return {
        "sign-in": SignInPage(frame=NOBODY, next="/studies"),
        "sign-in-wrong": SignInPage(
            frame=NOBODY, next="/studies", email="a@b.example", problem="That did not match."
        ),
        "continue": ContinuePage(frame=NOBODY, next="/studies/1.2.3?x=1&y=2"),
        "factor": FactorPage(frame=NOBODY, next="/studies"),
        "unlock": UnlockPage(frame=NOBODY, next="/studies", email="dr.reader@clinic.example"),
        "enrol": EnrolPage(
            frame=NOBODY,
            email="owner@clinic.example",
            token="t" * 43,
            qr=qr_image(f"otpauth://totp/Radkeep:owner%40clinic.example?secret={KEY}"),
            key=in_groups(KEY),
            problem="That code did not match. Is the phone's clock right?",
        ),
        "enrol-codes": EnrolCodesPage(
            frame=NOBODY,
            email="owner@clinic.example",
            codes=tuple(f"{n:04}-abcd-efgh" for n in range(10)),
        ),
        "studies": studies(),
        "studies-empty": studies(
            rows=(), narrowed=False, search=SearchForm(), first=1, previous_page="", next_page=""
        ),
        "studies-none": studies(rows=(), first=1, previous_page="", next_page=""),
        "studies-wrong": studies(
            rows=(),
            first=1,
            previous_page="",
            next_page="",
            wrong=SearchErrors(date_to="This is before the first date."),
            problem="The search was not run. Mend the marked fields.",
        ),
        "study": StudyPage(
            frame=PERSON,
            uid="1.2.826.0.1.3680043.8.498.50575927571470071430017031561417872141456",
            viewer="/viewer/viewer?StudyInstanceUIDs=1.2",
            may_view=True,
            patient=Patient(
                name="Müller-Lüdenscheidt, Jürgen",
                id="SYN001",
                birth="1960-01-01",
                age="66 years at the study",
                sex="male",
            ),
            description="CT THORAX WITH CONTRAST",
            when="2026-11-24 10:15",
            accession="ACC000001",
            referrer="Ref, Doc",
            series=tuple(
                SeriesRow(
                    number=str(n),
                    modality="CT",
                    description=("Scout", "AX 2 mm", "COR MPR", "Dose report")[n - 1],
                    body_part="CHEST",
                    when="2026-11-24 10:16",
                    instances=60 * n,
                )
                for n in range(1, 5)
            ),
            instances=600,
            origin=(
                Fact(name="Received", value="2026-11-24 10:20:11 UTC"),
                Fact(name="Sent by", value="CT1"),
                Fact(name="From address", value="127.0.0.1"),
            ),
        ),
        "account": AccountPage(
            frame=PERSON,
            email="dr.reader@clinic.example",
            facts=(Fact(name="Role", value="radiologist"),),
        ),
        "demo": DemoPage(
            frame=PERSON,
            people=tuple(
                DemoPerson(
                    id=name,
                    name=name,
                    email=f"{name.lower()}@demo.example",
                    role=role,
                    current=name == "Ada",
                )
                for name, role in (
                    ("Ada", "administrator"),
                    ("Rosa", "radiologist"),
                    ("Ref", "referring physician"),
                    ("Sam", "security officer"),
                )
            ),
        ),
        "problem": ProblemPage(
            frame=NOBODY,
            title="Not found",
            what="There is no such study, or you may not see it.",
            advice="Check the address, or search for the patient.",
            way_out=Link(name="Back to the studies", href="/studies"),
            reference="7f3a9c",
        ),
    }


TEMPLATES = Path(str(files("radkeep.web.portal") / "templates"))
CSS = (TEMPLATES.parent / "static" / "portal.css").read_text("utf-8")


def page_classes() -> list[type[Page]]:
    for module in Path(pages.__file__).parent.glob("*.py"):
        __import__(f"radkeep.web.portal.pages.{module.stem}")
    return sorted(Page.__subclasses__(), key=lambda page: page.__name__)


def template_variables(name: str) -> set[str]:
    env = environment()
    found, todo = set(), [name]
    while todo:
        tree = env.parse((TEMPLATES / todo.pop()).read_text("utf-8"))
        imported = {node.target for node in tree.find_all(nodes.Import)}
        found |= meta.find_undeclared_variables(tree) - imported
        todo += [other for other in meta.find_referenced_templates(tree) if other]
    return found - env.globals.keys()


@pytest.mark.parametrize("page", page_classes(), ids=lambda page: page.__name__)
def test_a_page_has_the_fields_that_its_template_reads(page: type[Page]) -> None:
    assert template_variables(f"pages/{page.template}") == {field.name for field in fields(page)}


def test_every_template_belongs_to_one_page_and_has_a_sample() -> None:
    templates = {path.name for path in (TEMPLATES / "pages").iterdir()}
    assert sorted(page.template for page in page_classes()) == sorted(templates)
    assert {type(page) for page in every_page().values()} == set(page_classes())


@pytest.mark.parametrize("name", every_page())
def test_a_page_needs_nothing_that_the_policy_refuses(name: str) -> None:
    response = render(every_page()[name])
    html = bytes(response.body).decode()
    assert response.headers["cache-control"] == "no-store"
    assert not re.search(r"<style|<script|\sstyle=|\son[a-z]+=|javascript:", html)
    assert not re.search(r"""(?:src|href|action)=["'](?!/|#|data:image/svg)""", html)
    assert "<form" not in html or "<label" in html or "<button" in html


@pytest.mark.parametrize("name", every_page())
def test_every_field_of_a_form_has_a_label(name: str) -> None:
    html = bytes(render(every_page()[name]).body).decode()
    labels = set(re.findall(r'<label for="([^"]+)"', html))
    shown = re.findall(
        r'<(?:input|select)(?![^>]*(?:type="hidden"|hidden>))[^>]* id="([^"]+)"', html
    )
    assert set(shown) == labels


@pytest.mark.parametrize("name", every_page())
def test_every_page_of_a_demo_says_so(name: str) -> None:
    page = every_page()[name]
    for frame, demo in ((replace(PERSON, demo=True), True), (replace(NOBODY, demo=False), False)):
        html = bytes(render(replace(page, frame=frame)).body).decode()
        assert ("<strong>DEMO</strong>" in html) is demo


def test_values_are_escaped_wherever_they_stand() -> None:
    evil = """"><img src=x onerror='alert(1)'>&'{{ 7*7 }}"""
    rows = tuple(
        replace(
            row, **{f.name: evil for f in fields(row) if f.name != "modalities"}, modalities=(evil,)
        )
        for row in studies().rows
    )
    search = replace(studies().search, name=evil, patient_id=evil)
    html = bytes(render(studies(rows=rows, search=search, problem=evil)).body).decode()
    assert "<img src=x" not in html
    assert "49" not in re.sub(r"&#\d+;", "", html.split("<table", 1)[1])


def test_no_template_switches_escaping_off() -> None:
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text("utf-8")
        assert not re.search(r"\|\s*safe|autoescape|Markup", text), path.name


def test_a_misspelt_variable_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ misspelt }}").render()


def colors(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6});", block))


def luminance(color: str) -> float:
    parts = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def pairs() -> Iterator[tuple[str, str, float]]:
    for ground in ("ground", "panel", "raised", "row"):
        for ink in ("ink", "quiet", "accent", "accent-strong"):
            yield ink, ground, 4.5
    for kind in ("bad", "good", "note"):
        yield kind, f"{kind}-ground", 4.5
    yield from (("on-accent", "accent", 4.5), ("on-accent", "accent-strong", 4.5))
    yield from (("on-demo", "demo", 4.5), ("bad", "panel", 4.5))
    # WCAG 2.2, 1.4.11: what shows where a field or the focus is
    yield from (("field-line", "panel", 3.0), ("focus", "panel", 3.0), ("focus", "ground", 3.0))


def test_text_can_be_read_in_both_schemes() -> None:
    light, dark = CSS.split("@media (prefers-color-scheme: dark)", 1)
    schemes = (colors(light), colors(dark.split("\n}\n", 1)[0]))
    assert schemes[0].keys() - {"radius"} == schemes[1].keys()
    weak = [
        (ink, ground, round(contrast(scheme[ink], scheme[ground]), 2))
        for scheme in schemes
        for ink, ground, least in pairs()
        if contrast(scheme[ink], scheme[ground]) < least
    ]
    assert weak == []


def test_colors_stand_in_custom_properties_only() -> None:
    for line in CSS.splitlines():
        if "#" in line and not re.match(r"\s*--", line):
            assert re.findall(r"#[0-9a-f]{3,6}\b", line) in ([], ["#fff"]), line  # paper and QR
