# SPDX-License-Identifier: Apache-2.0
"""Any bytes in any attribute are entered and answered; one bad instance never stops a group."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radkeep.database.catalog.catalog import Catalog
from radkeep.database.catalog.packing import pack, unpack
from radkeep.dicom import levels
from radkeep.dicom.facts import Facts
from radkeep.dicom.query import ALL, Level, Query
from radkeep.ingest.ports import Verdict
from radkeep.testing.arrivals import EXPLICIT, ROOT, all_rows, arrival, facts

UIDS = {levels.SOP_CLASS, levels.SOP_INSTANCE, levels.STUDY_UID, levels.SERIES_UID}
TAGS = sorted(levels.WANTED - UIDS)
CHARSETS = [b"", b"ISO_IR 192", b"GB18030", b"ISO 2022 IR 87\\ISO 2022 IR 13", b"ISO_IR 13", b"x"]
BIG_ENDIAN = "1.2.840.10008.1.2.2"
VALUES = st.one_of(
    st.binary(max_size=24),
    st.sampled_from(
        [
            b"9" * 30,
            b"-" + b"9" * 40,
            b"1e999",
            b"NaN",
            b"\xed\xa0\x80",
            b"A\0B",
            b"=\\=^\\\xff",
            b"\\",
        ]
    ),
)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(st.sampled_from(TAGS), VALUES, max_size=12),
    st.sampled_from(CHARSETS),
    st.sampled_from([EXPLICIT, BIG_ENDIAN]),
    st.uuids(),
)
def test_any_bytes_are_entered_and_answered(
    catalog: Catalog, raw: dict[int, bytes], charset: bytes, syntax: str, unique: object
) -> None:
    study = f"2.25.{int(str(unique).replace('-', ''), 16)}"
    good = dict(facts().raw) | {tag: f"{study}.1".encode() for tag in UIDS}
    good |= {levels.STUDY_UID: study.encode(), levels.SPECIFIC_CHARACTER_SET: charset}
    one = Facts.of(good | raw, syntax)
    assert catalog.commit("a" * 32, 1, [arrival(one)]) == [Verdict.STORED]
    assert catalog.commit("a" * 32, 1, [arrival(one)]) == [Verdict.STORED]
    for level in (Level.STUDY, Level.SERIES, Level.INSTANCE):
        (row,) = all_rows(catalog, "clinic", level, Query(study=one.study, include=ALL))
        assert msgspec.json.decode(row)["0020000D"]["Value"] == [study]
    (found,) = catalog.instances("clinic", one.study)
    assert found.frames >= 0


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN])
def test_what_is_unpacked_is_what_was_packed(syntax: str) -> None:
    one = facts(texts={0x00080008: "ORIGINÄL\\X"}, transfer_syntax=syntax)
    expected = msgspec.json.decode(one.json(Level.INSTANCE))
    for tag in ("00080016", "00080018"):
        del expected[tag]
    assert msgspec.json.decode(unpack(pack(one), syntax)) == expected


def test_a_long_number_is_no_number_of_sql(catalog: Catalog, tmp_path: Path) -> None:
    one = facts(texts={0x00200011: "9" * 30, 0x00200013: "9" * 30})
    catalog.commit("a" * 32, 1, [arrival(one)])
    (found,) = catalog.instances("clinic", one.study)
    assert (found.number, found.series) == (None, f"{ROOT}.1.1")
