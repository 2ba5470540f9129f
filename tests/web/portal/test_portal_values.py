# SPDX-License-Identifier: Apache-2.0
"""Pure parts of the portal: own paths, DICOM JSON as text, the search form, QR codes, searches."""

import base64
import re
from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.dicom.query import MatchKind
from radkeep.web.portal import json_text, recent_searches, search_form, study_pages
from radkeep.web.portal.own_path import HOME, own_path, with_next
from radkeep.web.portal.pages.studies import SearchErrors, SearchForm
from radkeep.web.portal.qr import in_groups, qr_image

OWN = [
    "/",
    "/studies",
    "/studies?view=Ab_-9&page=2",
    "/studies/1.2.840.10008",
    "/viewer/viewer?StudyInstanceUIDs=1.2.3&hangingProtocolId=mpr",
]
FOREIGN = [
    "",
    "studies",
    "//evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "/\tevil",
    "/\n/evil.test",
    "https://evil.test/",
    "javascript:alert(1)",
    "/studies\r\nSet-Cookie: a=b",
    "/studies#x",
    "/" + "a" * 3000,
    "/sign-in?next=/studies",
    "/sign-out",
    "/enrol?token=x",
]


@pytest.mark.parametrize("path", OWN)
def test_own_paths_are_kept(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize("path", FOREIGN)
def test_any_other_address_leads_home(path: str) -> None:
    assert own_path(path) == HOME


@given(st.text(max_size=40))
def test_whatever_comes_the_answer_stays_on_this_origin(raw: str) -> None:
    path = own_path(raw)
    assert re.fullmatch(r"/[^/\\\s#][^\\\s#]*|/", path)


def test_the_way_back_survives_in_an_address() -> None:
    target = "/viewer/viewer?StudyInstanceUIDs=1.2&x=3"
    there = "/sign-in?next=/viewer/viewer%3FStudyInstanceUIDs%3D1.2%26x%3D3"
    assert with_next("/sign-in", target) == there
    assert with_next("/sign-in", "//evil.test") == "/sign-in"


def element(*values: object, vr: str = "LO") -> dict[str, object]:
    return {"vr": vr, "Value": list(values)}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"Alphabetic": "Doe^Jane^Q^Dr^MD"}, "Doe, Dr Jane Q MD"),
        ({"Alphabetic": "Doe"}, "Doe"),
        ({"Alphabetic": "^Jane"}, "Jane"),
        ({"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}, "Yamada, Tarou (山田, 太郎)"),
        ({"Ideographic": "山田^太郎"}, "山田, 太郎"),
        ({"Alphabetic": "^^^^"}, ""),
        ({}, ""),
        ("Doe", ""),
        (None, ""),
    ],
)
def test_names(value: object, shown: str) -> None:
    assert json_text.name({"00100010": element(value, vr="PN")}, "00100010") == shown


@pytest.mark.parametrize(
    ("day", "time", "shown"),
    [
        ("20240115", "101500.25", "2024-01-15 10:15"),
        ("2024.01.15", "1015", "2024-01-15 10:15"),
        ("20240115", "10", "2024-01-15"),
        ("20240115", "", "2024-01-15"),
        ("", "", ""),
        ("soon", "", "soon"),
    ],
)
def test_moments(day: str, time: str, shown: str) -> None:
    row = {"00080020": element(day), "00080030": element(time)}
    assert json_text.moment(row, "00080020", "00080030") == shown


@pytest.mark.parametrize(
    ("born", "at", "shown"),
    [
        ("1960-01-16", "2024-01-15", "63 years at the study"),
        ("1960-01-15", "2024-01-15", "64 years at the study"),
        ("2023-12-01", "2024-01-15", "1 month at the study"),
        ("2024-02-01", "2024-01-15", ""),
        ("", "2024-01-15", ""),
        ("soon", "2024-01-15", ""),
    ],
)
def test_ages(born: str, at: str, shown: str) -> None:
    assert json_text.age(born, at) == shown


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)
TAGS = sorted(set(re.findall(r"\"([0-9A-F]{8})\"", Path(study_pages.__file__).read_text())))


@given(st.dictionaries(st.sampled_from(TAGS), json_values | st.builds(element, json_values)))
def test_any_json_object_becomes_a_line(row: dict[str, object]) -> None:
    encoded = msgspec.json.encode(row)
    (line,) = study_pages.study_rows([encoded], may_view=True)
    assert line.patient
    assert study_pages.series_rows([encoded])[0].description
    assert study_pages.patient(json_text.decode(encoded)).name


@pytest.mark.parametrize(
    ("modalities", "leads"),
    [
        (("RTPLAN",), False),
        (("SEG", "PR"), False),
        (("CT", "SEG"), True),
        (("SR",), True),
        ((), True),
    ],
)
def test_only_what_the_viewer_draws_leads_to_it(
    modalities: tuple[str, ...], *, leads: bool
) -> None:
    encoded = msgspec.json.encode({"00080061": element(*modalities, vr="CS")})
    (line,) = study_pages.study_rows([encoded], may_view=True)
    assert bool(line.viewer) is leads
    (line,) = study_pages.study_rows([encoded], may_view=False)
    assert not line.viewer


def test_series_are_ordered_by_number() -> None:
    rows = [msgspec.json.encode({"00200011": element(n, vr="IS")}) for n in (10, 2, 1)]
    assert [row.number for row in study_pages.series_rows(rows)] == ["1", "2", "10"]


def test_the_origin_says_who_sent_it_when_and_how() -> None:
    facts = study_pages.origin_facts(
        {
            "organization": "o",
            "source": "CT1",
            "kind": "device",
            "address": "127.0.0.1",
            "protocol": "c-store",
            "transfer": "t",
            "received": "2026-11-24T08:00:00.123+01:00",
        }
    )
    assert {fact.name: fact.value for fact in facts} == {
        "Received": "2026-11-24 07:00:00 UTC",
        "Sent by": "CT1",
        "Known as": "device",
        "From address": "127.0.0.1",
        "Through": "C-STORE",
    }
    assert study_pages.origin_facts({}) == ()


FORM = SearchForm(
    name="doe jane",
    patient_id="P1",
    accession="A1",
    date_from="2024-01-01",
    date_to="2024-12-31",
    modality="CT",
)


def test_a_search_becomes_a_query() -> None:
    query = search_form.to_query(FORM, 3)
    found = {match.tag: (match.kind, match.values) for match in query.filters}
    assert found == {
        0x00100010: (MatchKind.NAME, ("*doe*jane*",)),
        0x00100020: (MatchKind.WILDCARD, ("P1*",)),
        0x00080050: (MatchKind.WILDCARD, ("A1*",)),
        0x00080020: (MatchKind.RANGE, ("20240101", "20241231")),
        0x00080061: (MatchKind.SINGLE, ("CT",)),
    }
    assert (query.limit, query.offset) == (search_form.PAGE_ROWS, 2 * search_form.PAGE_ROWS)


@pytest.mark.parametrize(
    ("typed", "key"), [("Doe, Jane", "*Doe*Jane*"), ("d?e*", "d?e*"), ("Doe^Jane", "*Doe*Jane*")]
)
def test_names_as_people_type_them(typed: str, key: str) -> None:
    (match,) = search_form.to_query(SearchForm(name=typed), 1).filters
    assert match.values == (key,)


def test_open_ranges_of_dates() -> None:
    for form, values in (
        (SearchForm(date_from="2024-01-01"), ("20240101", "")),
        (SearchForm(date_to="2024-01-01"), ("", "20240101")),
    ):
        (match,) = search_form.to_query(form, 1).filters
        assert match.values == values
    assert search_form.to_query(SearchForm(), 1).filters == ()


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("date_from", "31.12.2024"),
        ("date_from", "2024-02-30"),
        ("date_to", "2023-12-31"),
        ("date_to", "20241231"),
        ("accession", "A" * 17),
        ("modality", "<b>"),
    ],
)
def test_wrong_input_is_named_and_kept(field: str, typed: str) -> None:
    parsed = search_form.parse(msgspec.to_builtins(replace(FORM, **{field: typed})))
    assert getattr(parsed.form, field) == typed
    assert [f.name for f in fields(SearchErrors) if getattr(parsed.wrong, f.name)] == [field]


@given(st.dictionaries(st.sampled_from([f.name for f in fields(SearchForm)]), st.text(max_size=90)))
def test_any_form_is_refused_or_becomes_a_query(typed: dict[str, str]) -> None:
    parsed = search_form.parse(typed)
    if parsed.wrong == SearchErrors():
        assert len(search_form.to_query(parsed.form, 1).filters) <= 5


def test_searches_belong_to_their_session_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_searches, "_MAX", 2)
    searches = recent_searches.RecentSearches()
    name = searches.remember("one", FORM)
    assert searches.find("one", name) == FORM
    assert searches.find("other", name) is None
    for _ in range(2):
        searches.remember("other", FORM)
    assert searches.find("one", name) is None


def test_a_qr_code_is_an_image_without_styles() -> None:
    address = qr_image("otpauth://totp/Radkeep:a%40b.example?secret=ABCD")
    assert address.startswith("data:image/svg+xml;base64,")
    svg = base64.b64decode(address.partition(",")[2]).decode()
    assert "style" not in svg
    assert svg.startswith("<svg")
    assert in_groups("ABCDEFGHIJ") == "ABCD EFGH IJ"


def test_dates_of_the_form_are_real_days() -> None:
    assert search_form.parse({"date_from": date(2024, 2, 29).isoformat()}).wrong == SearchErrors()
