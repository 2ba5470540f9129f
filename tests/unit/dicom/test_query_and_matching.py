# SPDX-License-Identifier: Apache-2.0
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.dicom.dictionary import tag_of
from radkeep.dicom.matching import fold, matches, pattern
from radkeep.dicom.query import Match, MatchKind, Query
from radkeep.domain.errors import InvalidRequestError, InvalidUidError
from radkeep.domain.uid import Uid

ENTITY: dict[str, Any] = {
    "00080020": {"vr": "DA", "Value": ["20240131"]},
    "00080030": {"vr": "TM", "Value": ["093015.25"]},
    "00080050": {"vr": "SH", "Value": ["A1"]},
    "00080061": {"vr": "CS", "Value": ["CT", "SR"]},
    "00081030": {"vr": "LO", "Value": ["Head w/o contrast"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jörg", "Ideographic": "山田^太郎"}]},
    "00200011": {"vr": "IS", "Value": [3]},
    "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
    "00100040": {"vr": "CS"},
    "00400275": {"vr": "SQ", "Value": [{"00401001": {"vr": "SH", "Value": ["R7"]}}]},
}


def _match(keyword: str, text: str) -> Match:
    path = [tag_of(part) or 0 for part in keyword.split(".")]
    return Match.parse(path, text)


@pytest.mark.parametrize(
    ("keyword", "text", "kind", "hit"),
    [
        ("StudyDate", "20240131", MatchKind.SINGLE, True),
        ("StudyDate", "20240101-20240131", MatchKind.RANGE, True),
        ("StudyDate", "-20240130", MatchKind.RANGE, False),
        ("StudyDate", "20240201-", MatchKind.RANGE, False),
        ("StudyTime", "0930", MatchKind.SINGLE, True),
        ("StudyTime", "09-0930", MatchKind.RANGE, True),
        ("StudyTime", "0931-", MatchKind.RANGE, False),
        ("AccessionNumber", "A1", MatchKind.SINGLE, True),
        ("AccessionNumber", "a1", MatchKind.SINGLE, False),
        ("AccessionNumber", "A?", MatchKind.WILDCARD, True),
        ("AccessionNumber", "*", MatchKind.UNIVERSAL, True),
        ("AccessionNumber", "", MatchKind.UNIVERSAL, True),
        ("ModalitiesInStudy", "SR", MatchKind.SINGLE, True),
        ("ModalitiesInStudy", "MR", MatchKind.SINGLE, False),
        ("StudyDescription", "*w/o*", MatchKind.WILDCARD, True),
        ("StudyDescription", "head*", MatchKind.WILDCARD, False),
        ("StudyDescription", "Head.*", MatchKind.WILDCARD, False),
        ("PatientName", "MULLER^jorg", MatchKind.NAME, True),
        ("PatientName", "müll*", MatchKind.NAME, True),
        ("PatientName", "Muller", MatchKind.NAME, False),
        ("PatientName", "山田*", MatchKind.NAME, True),
        ("PatientName", "Muller^Jorg^^", MatchKind.NAME, True),
        ("PatientSex", "M", MatchKind.SINGLE, False),
        ("SeriesNumber", "3", MatchKind.SINGLE, True),
        ("SeriesNumber", "x", MatchKind.SINGLE, False),
        ("StudyInstanceUID", "1.2.3", MatchKind.SINGLE, True),
        ("StudyInstanceUID", "1.2\\1.2.3", MatchKind.LIST, True),
        ("StudyInstanceUID", "1.2,1.4", MatchKind.LIST, False),
        ("RequestAttributesSequence.RequestedProcedureID", "R7", MatchKind.SINGLE, True),
        ("RequestAttributesSequence.RequestedProcedureID", "R8", MatchKind.SINGLE, False),
        ("BodyPartExamined", "HEAD", MatchKind.SINGLE, False),
    ],
)
def test_matching(keyword: str, text: str, kind: MatchKind, hit: bool) -> None:  # noqa: FBT001
    match = _match(keyword, text)
    assert match.kind is kind
    assert matches([match], ENTITY) is hit


def test_all_keys_must_match() -> None:
    assert not matches([_match("AccessionNumber", "A1"), _match("SeriesNumber", "4")], ENTITY)


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("StudyDate", "yesterday"),
        ("StudyDate", "-"),
        ("StudyDate", "2024-01-31"),
        ("StudyTime", "9"),
        ("PixelData", "x"),
        ("AccessionNumber", "x" * 5000),
    ],
)
def test_bad_keys_are_refused(keyword: str, text: str) -> None:
    with pytest.raises(InvalidRequestError):
        _match(keyword, text)


def test_bad_uid_keys_are_refused() -> None:
    with pytest.raises(InvalidUidError):
        _match("StudyInstanceUID", "1.2.*")
    with pytest.raises(InvalidRequestError):
        _match("StudyInstanceUID", "\\".join(["1.2"] * 600))


def test_a_query_names_its_keys_and_never_their_values() -> None:
    keys = ("PatientName", "AccessionNumber")
    query = Query(
        filters=(
            _match(keys[0], "Doe"),
            _match(keys[1], "*"),
            Match((0x00091001,), MatchKind.SINGLE),
        ),
        study=Uid.parse("1.2"),
        series=Uid.parse("1.3"),
    )
    assert query.keys() == ("PatientName", "00091001", "StudyInstanceUID", "SeriesInstanceUID")


def test_fold() -> None:
    assert fold("  MÜLLER^Jörg  von^^ ") == "muller^jorg von"
    assert fold("Straße") == "strasse"
    assert fold("D*é?") == "d*e?"


@given(st.text("ab?*", max_size=8), st.text("ab", max_size=10))
def test_wildcards_mean_what_the_standard_says(key: str, value: str) -> None:
    def fits(key: str, value: str) -> bool:
        if not key:
            return not value
        if key[0] == "*":
            return any(fits(key[1:], value[at:]) for at in range(len(value) + 1))
        return bool(value) and key[0] in ("?", value[0]) and fits(key[1:], value[1:])

    assert (pattern(key).fullmatch(value) is not None) is fits(key, value)


def test_many_stars_take_no_longer_than_few() -> None:
    began = time.perf_counter()
    assert pattern("*a" * 500 + "*b").fullmatch("a" * 4_000) is None
    assert pattern("*" * 100 + "b").fullmatch("a" * 4_000) is None
    assert time.perf_counter() - began < 1.0
