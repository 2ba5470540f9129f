# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN001 - the types of fixtures are in conftest.py
"""Full disks, failing disks, a busy catalog: refused, nothing half there, and then it works."""

import os
import secrets
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from radkeep.archive.disk import SystemDisk
from radkeep.archive.findings import FindingKind
from radkeep.archive.format import SUFFIX
from radkeep.archive.record import Record
from radkeep.archive.writer import Limits
from radkeep.domain.errors import ArchiveFullError, IntegrityError, RadkeepError, UnavailableError
from radkeep.ingest.ports import Verdict
from radkeep.testing.catalog import MemoryCatalog
from radkeep.testing.records import ORGANIZATION, STUDY


def fill(house, body: bytes, stored: list[str]) -> None:
    for number in range(40):
        house.store(f"1.{number}", body)
        stored.append(f"1.{number}")


def write(record: Record, *, pieces: int) -> None:
    for _ in range(pieces):
        record.write(memoryview(bytes(1 << 18)))


def test_a_full_disk_refuses_before_anything_is_received_and_then_works(house) -> None:
    body = secrets.token_bytes(100_000)
    house.disk.room = 700_000
    house.limits = Limits(volume=1 << 30, step=256 << 10)
    stored: list[str] = []
    with pytest.raises(ArchiveFullError):
        fill(house, body, stored)
    assert 3 <= len(stored) <= 7
    with pytest.raises(ArchiveFullError):  # at the door: not a byte was taken
        house.writers[-1].open(ORGANIZATION, STUDY)
    assert all(house.body(name) == body for name in stored)
    house.disk.room = 10 << 20
    assert house.store("1.99", body) is Verdict.STORED
    assert all(house.body(name) == body for name in [*stored, "1.99"])


def test_a_large_object_on_a_full_disk_leaves_nothing(house) -> None:
    house.disk.room = 3 << 20
    house.store("1.1", b"small")
    record = house.writers[-1].open(ORGANIZATION, STUDY)
    with pytest.raises(ArchiveFullError):
        write(record, pieces=40)
    record.abandon()
    assert len(house.disk.names(house.folder)) == 1
    house.disk.room = 64 << 20
    assert house.store("1.2", bytes(4 << 20)) is Verdict.STORED


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a real file system of 4 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_real_full_disk_refuses_and_then_works(house, small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2 << 20))
    made = type(house)(small_disk, SystemDisk(), Limits(volume=1 << 30, step=256 << 10))
    stored: list[str] = []
    with pytest.raises(ArchiveFullError):
        fill(made, secrets.token_bytes(100_000), stored)
    ballast.unlink()
    assert made.store("1.99", b"there is room") is Verdict.STORED
    assert stored
    for name in stored:
        assert len(made.body(name)) == 100_000
    made.close()


def test_after_a_failed_sync_the_volume_is_closed_for_good(house, after_a_cut) -> None:
    assert house.store("1.1", b"before") is Verdict.STORED
    first = house.place("1.1").volume
    house.disk.failing.add("sync")
    with pytest.raises(IntegrityError):
        house.store("1.2", b"refused")
    house.disk.failing.clear()
    assert house.store("1.3", b"after") is Verdict.STORED
    assert house.place("1.3").volume != first
    rebuilt = after_a_cut(house)
    rebuilt.recover()
    assert {name for _, name in rebuilt.catalog.instances} == {"1.1", "1.3"}


@pytest.mark.parametrize("then", ["cut", "closed"])
def test_a_refused_group_that_reached_the_disk_stays_refused(house, after_a_cut, then: str) -> None:
    """The sync failed, but every byte is there, and the cut that failed too kept it."""
    house.store("1.1", b"before")
    path = house.folder / (house.place("1.1").volume + SUFFIX)
    house.disk.failing.add("sync")
    number = house.disk.names_[path]
    whole: list[bytes] = []
    check = house.disk.check

    def spy(what: str) -> None:
        if what == "sync" and not whole:
            whole.append(bytes(house.disk.inodes[number].data))
        check(what)

    house.disk.check = spy
    with pytest.raises(IntegrityError):
        house.store("1.2", b"refused")
    house.disk.failing.clear()
    house.store("1.3", b"after")
    if then == "closed":  # the withdrawal is in a volume that the catalog has in full
        house.close()
    house.disk.inodes[number].data[:] = whole[0]
    older = house.catalog.copy()
    for catalog in (MemoryCatalog(), older):
        rebuilt = after_a_cut(house)
        rebuilt.recover(catalog)
        assert {name for _, name in rebuilt.catalog.instances} == {"1.1", "1.3"}


def test_a_record_the_catalog_refused_is_withdrawn(house, after_a_cut) -> None:
    house.store("1.1", b"before")
    house.catalog.available = False
    with pytest.raises(UnavailableError):
        house.store("1.2", b"refused")
    house.catalog.available = True
    house.store("1.3", b"after")
    rebuilt = after_a_cut(house)
    result = rebuilt.recover()
    assert {name for _, name in rebuilt.catalog.instances} == {"1.1", "1.3"}
    assert not result.findings
    assert len(result.transfers["transfer-1"]) == 2


def test_withdrawals_are_written_at_the_end_too(house, after_a_cut) -> None:
    house.store("1.1", b"before")
    house.catalog.available = False
    with pytest.raises(UnavailableError):
        house.store("1.2", b"refused")
    house.close()
    rebuilt = after_a_cut(house)
    rebuilt.recover()
    assert {name for _, name in rebuilt.catalog.instances} == {"1.1"}


def test_an_original_that_cannot_be_read_refuses_its_rival(house) -> None:
    house.store("1.1", b"original")
    data = house.disk.inodes[0].data
    data[house.place("1.1").offset + 150] ^= 1
    house.reader.close()
    with pytest.raises(IntegrityError):
        house.store("1.1", b"rival")
    assert not house.catalog.quarantine


def test_a_describer_that_refuses_harms_no_other(house) -> None:
    writer = house.writer()
    record = writer.open(ORGANIZATION, STUDY)
    record.write(memoryview(b"x"))

    def refuse(_place: object) -> None:
        raise IntegrityError("no")

    with pytest.raises(IntegrityError):
        record.finish(b"", refuse).result(5)
    assert house.store("1.2", b"fine") is Verdict.STORED


def test_a_mistake_of_ours_leaves_nobody_waiting(house) -> None:
    writer = house.writer()
    record = writer.open(ORGANIZATION, STUDY)
    caught: list[object] = []
    hook, threading.excepthook = threading.excepthook, caught.append
    try:
        with pytest.raises(UnavailableError):
            record.finish(b"", lambda _place: 1 / 0).result(5)
        with pytest.raises(RadkeepError):
            writer.open(ORGANIZATION, STUDY)
        writer.close()
    finally:
        threading.excepthook = hook
    assert len(caught) == 1


def test_a_failed_seal_loses_nothing(house, after_a_cut) -> None:
    house.store("1.1", b"whole")
    house.disk.failing.add("sync")
    house.close()
    assert not house.sealed
    rebuilt = after_a_cut(house)
    result = rebuilt.recover()
    assert [each.kind for each in result.findings] in ([], [FindingKind.TORN])
    assert rebuilt.body("1.1") == b"whole"
    assert len(result.sealed) == 1
