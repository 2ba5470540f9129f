# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN001 - the types of fixtures are in conftest.py
"""Damaged bytes are named by volume and offset, never cut, and harm no other object."""

import secrets
from typing import Any

import pytest

from radkeep.archive.findings import FindingKind
from radkeep.archive.format import SUFFIX
from radkeep.archive.keyring import KeyMissingError
from radkeep.archive.verify import verify
from radkeep.domain.errors import IntegrityError
from radkeep.testing.catalog import MemoryCatalog
from radkeep.testing.disk import RecordingDisk
from radkeep.testing.records import ORGANIZATION


def fill(house, count: int = 6, size: int = 5_000) -> dict[str, bytes]:
    bodies = {f"1.{number}": secrets.token_bytes(size) for number in range(count)}
    for name, body in bodies.items():
        house.store(name, body)
    return bodies


def hurt(house, volume: str, offset: int, length: int = 1) -> RecordingDisk:
    """Put a changed copy of everything in place of the disk."""
    files = house.disk.files()
    path = house.folder / (volume + SUFFIX)
    data = bytearray(files[path])
    for at in range(offset, offset + length):
        data[at] ^= 0x55
    disk = RecordingDisk({**files, path: bytes(data)})
    for name, number in house.disk.names_.items():
        disk.inodes[disk.names_[name]].protected = house.disk.inodes[number].protected
    return disk


def again(house, disk: RecordingDisk, catalog: MemoryCatalog) -> Any:  # noqa: ANN401 - a House
    return type(house)(house.folder, disk, house.limits, house.keys, catalog)


def names(house) -> set[str]:
    return {name for _, name in house.catalog.instances}


@pytest.mark.parametrize("where", ["start", "body", "head", "trailer", "marker"])
@pytest.mark.parametrize("closed", ["cut", "sealed"])
@pytest.mark.parametrize("kept", ["catalog", "no catalog"])
def test_damage_before_a_valid_group_is_reported_and_never_cut(
    house, where: str, closed: str, kept: str
) -> None:
    bodies = fill(house)
    if closed == "sealed":
        house.close()
    place = house.place("1.2")
    at = {
        "start": place.offset + 5,
        "body": place.offset + 1_000,
        "head": place.offset + place.length - 60,
        "trailer": place.offset + place.length - 3,
        "marker": house.place("1.3").offset - 20,
    }[where]
    disk = hurt(house, place.volume, at)
    old = again(house, disk, house.catalog.copy() if kept == "catalog" else MemoryCatalog())
    result = old.recover()
    found = [*result.findings, *verify(old.folder, keys=old.keys, full=True, disk=disk)]
    damage = [each for each in found if each.kind is FindingKind.DAMAGE]
    assert damage
    assert {each.volume for each in damage} == {place.volume}
    assert all(place.offset <= each.offset <= at for each in damage)
    whole = set(bodies) - (set() if where == "marker" else {"1.2"})
    assert whole <= names(old)
    assert all(old.body(name) == bodies[name] for name in whole)
    if where != "marker" and "1.2" in names(old):  # the catalog knows it: refused by name
        with pytest.raises(IntegrityError):
            _ = old.reader.head(place), old.body("1.2")
    kept_bytes = old.disk.files()[old.folder / (place.volume + SUFFIX)]
    hurt_bytes = disk.files()[old.folder / (place.volume + SUFFIX)]
    assert kept_bytes[: len(kept_bytes) - 2000] in hurt_bytes


def test_records_behind_a_damaged_marker_are_found_by_a_rebuild(house) -> None:
    bodies = fill(house, 5, 70_000)
    disk = hurt(house, house.place("1.2").volume, house.place("1.3").offset - 50, 10)
    old = again(house, disk, MemoryCatalog())
    assert FindingKind.DAMAGE in [each.kind for each in old.recover().findings]
    assert {name: old.body(name) for name in names(old)} == bodies


def test_an_acknowledged_tail_that_is_gone_is_damage_and_stays(house) -> None:
    bodies = fill(house)
    last = house.place("1.5")
    disk = hurt(house, last.volume, last.offset, last.length + 600)
    old = again(house, disk, house.catalog.copy())
    files = disk.files()
    for _ in range(2):
        kinds = {(each.kind, each.offset) for each in old.recover().findings}
        assert (FindingKind.DAMAGE, last.offset) in kinds
    assert disk.files() == files
    assert all(old.body(name) == bodies[name] for name in bodies if name != "1.5")


@pytest.mark.parametrize("back", [10, 700])
def test_a_damaged_seal_or_index_is_reported_and_the_groups_are_read(house, back: int) -> None:
    bodies = fill(house)
    house.close()
    volume = house.place("1.0").volume
    size = len(house.disk.files()[house.folder / (volume + SUFFIX)])
    disk = hurt(house, volume, size - back)
    old = again(house, disk, MemoryCatalog())
    assert {each.kind for each in old.recover().findings} == {FindingKind.DAMAGE}
    assert {name: old.body(name) for name in names(old)} == bodies
    assert list(verify(old.folder, keys=old.keys, full=False, disk=disk))


def test_a_damaged_header_harms_no_record(house) -> None:
    bodies = fill(house)
    disk = hurt(house, house.place("1.0").volume, 3)
    old = again(house, disk, MemoryCatalog())
    assert [each.offset for each in old.recover().findings] == [0]
    assert {name: old.body(name) for name in names(old)} == bodies


def test_every_flipped_byte_of_a_volume_is_found_or_harmless(house) -> None:
    bodies = fill(house, 2, 300)
    house.close()
    volume = house.place("1.0").volume
    size = len(house.disk.files()[house.folder / (volume + SUFFIX)])
    for at in range(0, size, 7):
        disk = hurt(house, volume, at)
        old = again(house, disk, house.catalog.copy())
        if not list(verify(old.folder, keys=old.keys, full=True, disk=disk)):
            assert all(old.body(name) == body for name, body in bodies.items())


def test_swapped_records_are_found(house) -> None:
    fill(house)
    house.close()
    one, two = house.place("1.1"), house.place("1.2")
    files = house.disk.files()
    path = house.folder / (one.volume + SUFFIX)
    data = bytearray(files[path])
    first, second = (data[each.offset : each.offset + each.length] for each in (one, two))
    data[one.offset : one.offset + one.length] = second
    data[two.offset : two.offset + two.length] = first
    disk = RecordingDisk({path: bytes(data)})
    disk.inodes[0].protected = True
    found = list(verify(house.folder, keys=house.keys, full=False, disk=disk))
    assert [each.offset for each in found] == [one.offset, two.offset]


def test_erased_keys_are_no_damage(house, after_a_cut) -> None:
    fill(house)
    old = after_a_cut(house)

    def erased(_key_id: bytes) -> bytes:
        raise KeyMissingError("erased")

    old.keys.key = erased
    result = old.recover()
    assert not result.findings
    assert result.erased == 6
    assert not old.catalog.instances
    assert (ORGANIZATION, "1.0") in house.catalog.instances
