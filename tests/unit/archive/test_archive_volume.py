# SPDX-License-Identifier: Apache-2.0
"""What a volume writes besides its groups."""

from pathlib import Path

import pytest

from radkeep.archive.format import RecordKind, VolumeKind
from radkeep.archive.volume import OpenVolume, Sealed
from radkeep.domain.errors import IntegrityError
from radkeep.testing.disk import RecordingDisk
from radkeep.testing.records import FixedClock

STEP = 8 << 20
MAPPED = 1 << 20
LARGE = 200 << 10
FOLDER = Path("/volumes")


def record(length: int) -> Sealed:
    return Sealed(RecordKind.INSTANCE, bytes(16), length, bytes(32), [b"\xaa" * length])


def begun(disk: RecordingDisk, step: int = STEP) -> OpenVolume:
    return OpenVolume.create(disk, FOLDER, VolumeKind.SHARED, clock=FixedClock(), step=step)


@pytest.fixture
def disk() -> RecordingDisk:
    made = RecordingDisk()
    made.recording = True
    return made


def written(disk: RecordingDisk, volume: OpenVolume, length: int) -> int:
    """Store a group of one record; return the bytes of the one write that it took."""
    before = len(disk.moments)
    volume.append([record(length)])
    (moment,) = [each for each in disk.moments[before:] if each.after == "write"]
    return len(moment.pending[-1].data)


def test_a_small_group_maps_blocks_for_those_that_follow(disk: RecordingDisk) -> None:
    volume = begun(disk)
    assert written(disk, volume, 5_000) > MAPPED
    end = volume.position
    (content,) = disk.files().values()
    assert content[end : end + MAPPED] == bytes(MAPPED)
    taken = 0
    while taken < MAPPED - 20_000:
        taken += (length := written(disk, volume, 5_000))
        assert length < 10_000
    assert max(written(disk, volume, 5_000) for _ in range(10)) > MAPPED


def test_a_large_group_is_written_alone(disk: RecordingDisk) -> None:
    assert written(disk, begun(disk), LARGE) < LARGE + 4_096


def test_zeros_never_make_a_volume_larger(disk: RecordingDisk) -> None:
    volume = begun(disk, 64 << 10)
    for _ in range(40):
        written(disk, volume, 5_000)
        (content,) = disk.files().values()
        assert len(content) - volume.position == volume.headroom <= 64 << 10


def test_a_group_behind_zeros_is_found_after_them(disk: RecordingDisk) -> None:
    volume = begun(disk)
    for length in (5_000, LARGE, 5_000, MAPPED, 5_000):
        start = volume.position
        volume.append([record(length)])
        (content,) = disk.files().values()
        assert content[start : start + length] == b"\xaa" * length


def test_a_refused_small_group_ends_the_volume(disk: RecordingDisk) -> None:
    volume = begun(disk)
    disk.failing.add("write")
    with pytest.raises(IntegrityError):
        volume.append([record(5_000)])
    assert volume.ended
