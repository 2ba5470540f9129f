# SPDX-License-Identifier: Apache-2.0
"""QIDO-RS, parsed and in process."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.audit.events import EventId
from radkeep.dicom.query import Level, MatchKind
from radkeep.domain.errors import Kind, RadkeepError
from radkeep.identity.actors import local
from radkeep.web.dicomweb import qido
from radkeep.web.dicomweb.qido import MAX_RESULTS, parse

if TYPE_CHECKING:
    from tests.web.conftest import Web

ROOT = "/dicom-web"
UID = "1.2.826.0.1.3680043.8.498.9"
Make = Callable[..., bytes]


@pytest.fixture
def filled(web: "Web", make_file: Make) -> "Web":
    files = [make_file(study, series, 1) for study in (1, 2, 3) for series in (1, 2)]
    assert web.store(*files, make_file(1, 1, 2)).status_code == 200
    return web


def uids(rows: list[dict[str, Any]], tag: str) -> list[str]:
    return sorted(row[tag]["Value"][0].removeprefix(f"{UID}.") for row in rows)


@pytest.mark.parametrize(
    ("path", "tag", "found"),
    [
        ("/studies", "0020000D", ["1", "2", "3"]),
        ("/studies?PatientID=P2", "0020000D", ["2"]),
        ("/studies?00100020=P2", "0020000D", ["2"]),
        ("/studies?PatientName=phantom*", "0020000D", ["1", "2", "3"]),
        ("/studies?StudyDate=20260301-20260302&fuzzymatching=false", "0020000D", ["1", "2", "3"]),
        ("/studies?StudyDate=20260302-", "0020000D", []),
        (f"/studies?StudyInstanceUID={UID}.1,{UID}.3", "0020000D", ["1", "3"]),
        (f"/studies/{UID}.1/series", "0020000E", ["1.1", "1.2"]),
        ("/series?PatientID=P3", "0020000E", ["3.1", "3.2"]),
        (f"/studies/{UID}.1/instances", "00080018", ["1.1.1", "1.1.2", "1.2.1"]),
        (f"/studies/{UID}.1/series/{UID}.1.1/instances", "00080018", ["1.1.1", "1.1.2"]),
        ("/instances?SeriesInstanceUID=" + UID + ".3.2", "00080018", ["3.2.1"]),
        (f"/studies/{UID}.9/series", "0020000E", []),
    ],
)
def test_what_is_found(filled: "Web", path: str, tag: str, found: list[str]) -> None:
    answer = filled.get(ROOT + path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert uids(answer.json(), tag) == found


@pytest.mark.parametrize(
    ("path", "tag", "found"),
    [
        ("/studies?PatientName=M%C3%BCller*&includefield=all", "0020000D", ["4"]),
        ("/studies?PatientName=muller%5Ezoe", "0020000D", ["4"]),
        ("/studies?00081030=Tr%C3%A8s+%2A", "0020000D", ["4"]),
        ("/studies?PatientName=%E3%82%84*", "0020000D", []),
    ],
)
def test_other_scripts(
    filled: "Web", make_file: Make, path: str, tag: str, found: list[str]
) -> None:
    more = {
        "t00080005": ("CS", "ISO_IR 192"),
        "t00100010": ("PN", "Müller^Zoë"),
        "t00081030": ("LO", "Très bien"),
    }
    assert filled.store(make_file(4, **more)).status_code == 200
    answer = filled.get(ROOT + path)
    assert answer.status_code == 200
    assert uids(answer.json(), tag) == found


def test_all_fields_are_all_that_is_known(filled: "Web") -> None:
    usual, everything = (
        filled.get(f"{ROOT}/studies/{UID}.1/series/{UID}.1.1/instances{more}").json()[0]
        for more in ("", "?includefield=all")
    )
    assert set(usual) < set(everything)
    assert {"00100010", "00081030", "00200011", "00280010"} <= set(everything)
    named = filled.get(f"{ROOT}/series?includefield=PatientID,StudyDescription&limit=1").json()[0]
    assert (named["00100020"]["Value"], named["00081030"]["Value"]) == (["P3"], ["Head"])


def test_keys_ascend_and_addresses_lead_to_the_entity(filled: "Web") -> None:
    rows = filled.get(f"{ROOT}/instances").json()
    assert all(list(row) == sorted(row) for row in rows)
    for row in rows:
        address = row["00081190"]["Value"][0]
        assert address.startswith(f"https://pacs.test{ROOT}/studies/{UID}.")
        assert filled.get(address).status_code == 200


def test_pages_and_warnings(filled: "Web", monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for offset in range(3):
        answer = filled.get(f"{ROOT}/studies?limit=1&offset={offset}")
        seen += uids(answer.json(), "0020000D")
        warned = answer.headers.get("warning", "")
        assert ("additional results" in warned) == (offset < 2)
        assert not warned or warned.startswith("299 https://pacs.test/dicom-web ")
    assert sorted(seen) == ["1", "2", "3"]
    monkeypatch.setitem(qido.MAX_RESULTS, Level.STUDY, 2)
    for query in ("", "?limit=50"):
        capped = filled.get(f"{ROOT}/studies{query}")
        assert len(capped.json()) == 2
        assert "exceeded the maximum supported by the server" in capped.headers["warning"]


def test_fuzzy_matching_is_refused_in_words(filled: "Web") -> None:
    answer = filled.get(f"{ROOT}/studies?fuzzymatching=true&PatientName=Phantom^Patient1")
    assert "Only literal matching" in answer.headers["warning"]
    assert len(answer.json()) == 1


@pytest.mark.parametrize(
    "query",
    [
        "Unknown=1",
        "limit=-1",
        "limit=x",
        "limit=0",
        "limit=1&limit=2",
        "limit=99999999999",
        "offset=99999999",
        "fuzzymatching=maybe",
        "StudyDate=yesterday",
        "StudyInstanceUID=1.02",
        "PatientID=1&PatientID=2",
        "PatientID=1&00100020=2",
        "includefield=Nonsense",
        "PatientName=%FF%FE",
        "&".join(f"0010{number:04X}=x" for number in range(201)),
    ],
)
def test_malformed_and_unknown_keys_are_400(web: "Web", query: str) -> None:
    answer = web.get(f"{ROOT}/studies?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_wrong_uid_in_the_path_is_400(web: "Web") -> None:
    assert web.get(f"{ROOT}/studies/1.x/series").status_code == 400
    assert web.get(f"{ROOT}/studies/..%2f..%2fetc/series").status_code == 404


def test_other_media_types_are_406(web: "Web") -> None:
    assert web.get(f"{ROOT}/studies", "application/dicom+xml").status_code == 406
    assert web.get(f"{ROOT}/studies?accept=application/json", "text/html").status_code == 200
    plain = web.get(f"{ROOT}/studies", "application/json")
    assert plain.headers["content-type"] == "application/json"


def test_queries_are_audited_by_name_and_never_by_value(filled: "Web") -> None:
    filled.get(f"{ROOT}/studies?PatientID=P2&PatientName=")
    (event,) = filled.house.audit.of(EventId.QUERY)
    assert event.detail["keys"] == "PatientID"
    assert "P2" not in str(event)


def test_each_organization_sees_its_own(filled: "Web") -> None:
    other = filled.house.organizations.create(local(0), "Other")
    theirs = filled.house.token("dicomweb:read", "dicomweb:write", organization=other.id)
    assert filled.send("GET", f"{ROOT}/studies", token=theirs).json() == []
    assert filled.send("GET", f"{ROOT}/studies/{UID}.1", token=theirs).status_code == 404
    writer = filled.house.token("dicomweb:write")
    assert filled.send("GET", f"{ROOT}/studies", token=writer).status_code == 403


def test_parsing() -> None:
    asked = parse(
        [
            ("PatientName", "A*"),
            ("00080020", "20260101-"),
            ("includefield", "StudyDescription,00081080"),
            ("includefield", "PatientAge"),
            ("RequestAttributesSequence.ScheduledProcedureStepID", "S1"),
        ],
        Level.STUDY,
        {"study": "1.2"},
    )
    query = asked.query
    kinds = [match.kind for match in query.filters]
    assert kinds == [MatchKind.NAME, MatchKind.RANGE, MatchKind.SINGLE]
    assert query.filters[2].path == (0x00400275, 0x00400009)
    assert query.include == (0x00081030, 0x00081080, 0x00101010)
    assert (query.study, query.series, query.limit) == ("1.2", None, MAX_RESULTS[Level.STUDY])
    assert parse([("includefield", "all")], Level.SERIES, {}).query.include == "all"


@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.sampled_from(
                    [
                        "limit",
                        "offset",
                        "includefield",
                        "fuzzymatching",
                        "accept",
                        "PatientID",
                        "StudyDate",
                        "0020000D",
                        "PatientName",
                    ]
                ),
                st.text(max_size=12),
            ),
            st.text(max_size=20),
        ),
        max_size=5,
    )
)
def test_any_keys_give_a_query_or_an_invalid_request(keys: list[tuple[str, str]]) -> None:
    try:
        asked = parse(keys, Level.INSTANCE, {})
    except RadkeepError as error:
        assert error.kind is Kind.INVALID  # noqa: PT017 - which of two errors does not matter
        return
    assert 1 <= asked.query.limit <= MAX_RESULTS[Level.INSTANCE]
