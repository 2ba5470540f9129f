# SPDX-License-Identifier: Apache-2.0
import hashlib
import secrets
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.archive import format as volume
from radkeep.crypto.seal import context
from radkeep.domain.errors import IntegrityError

ID = bytes(range(16))
DIGEST = hashlib.sha256(b"record").digest()


def marker(start: int = 512) -> tuple[bytes, int]:
    made = volume.pack_marker(ID, start, [(700, DIGEST), (41, DIGEST)])
    return made, start + 741 + len(made)


def test_a_marker_ends_on_a_sector_and_gives_its_records_back() -> None:
    made, end = marker()
    assert end % volume.SECTOR == 0
    group = volume.parse_marker(made[-volume.marker_length(2) :], ID, end)
    assert group is not None
    assert (group.start, group.end) == (512, end)
    assert [(each.offset, each.length) for each in group.entries] == [(512, 700), (1212, 41)]


def test_a_marker_counts_only_in_its_place_and_volume() -> None:
    made, end = marker()
    data = made[-volume.marker_length(2) :]
    assert volume.parse_marker(data, ID, end + volume.SECTOR) is None
    assert volume.parse_marker(data, secrets.token_bytes(16), end) is None


@given(st.data())
def test_no_changed_marker_counts(data: st.DataObject) -> None:
    made, end = marker()
    whole = bytearray(made[-volume.marker_length(2) :])
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    assert volume.parse_marker(bytes(whole), ID, end) is None


@given(st.binary(max_size=300), st.integers(0, 1 << 40))
def test_any_bytes_are_no_structure_or_a_sound_one(data: bytes, place: int) -> None:
    assert volume.parse_foot(data, ID, place) is None
    assert volume.parse_marker(data, ID, place) is None
    assert volume.parse_seal(data, ID, place) is None
    for parse in (
        lambda: volume.parse_header(data.ljust(512, b"\0"), ID),
        lambda: volume.parse_trailer(data, place),
        lambda: volume.parse_ruling(data.ljust(30, b"\0")),
    ):
        with pytest.raises(IntegrityError):
            parse()
    with suppress(IntegrityError):
        volume.parse_start(data)


def test_a_forged_foot_cannot_point_outside() -> None:
    foot = struct.pack("<8s16sQQII", volume.FOOT_MAGIC, ID, 0, 4096, 1, 0) + bytes(32)
    assert volume.parse_foot(foot, ID, 4096) is None


def test_header_start_trailer_seal_and_ruling_round_trip() -> None:
    header = volume.pack_header(ID, volume.VolumeKind.SINGLE, 77)
    assert volume.parse_header(header, ID) == (volume.VolumeKind.SINGLE, 77)
    start = volume.pack_start(volume.RecordKind.RULING, ID, ID[::-1])
    assert volume.parse_start(start) == volume.Start(volume.RecordKind.RULING, ID, ID[::-1])
    length = volume.record_length(70_000, 12)
    assert volume.parse_trailer(volume.pack_trailer(70_000, 12), length) == (70_000, 12)
    ruling = volume.pack_ruling(ID, 512, volume.Ruling.CONFLICT)
    assert volume.parse_ruling(ruling) == (ID.hex(), 512, volume.Ruling.CONFLICT)
    entry = volume.Indexed(volume.RecordKind.INSTANCE, 512, 700, ID, DIGEST)
    index = volume.pack_indexed(entry) * 2
    end = volume.pack_seal(ID, 1536, index, root=DIGEST, at=78)
    size = 1536 + len(index) + len(end)
    seal = volume.parse_seal(end[-volume.SEAL :], ID, size)
    assert seal is not None
    assert (seal.records, seal.sealed, size % volume.SECTOR) == (2, 78, 0)
    assert volume.parse_index(index, seal) == [entry, entry]
    with pytest.raises(IntegrityError):
        volume.parse_index(index[::-1], seal)


def test_part_contexts_are_those_of_the_sealing_format() -> None:
    for organization in ("", "org-1", "clinique-é"):
        made = volume.part_context(organization, ID, "body")
        assert made == context(organization, ID, "body", volume.VERSION)
