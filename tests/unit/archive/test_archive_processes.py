# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN001 - the types of fixtures are in conftest.py
"""Several processes, each with volumes of its own, one catalog, and a rebuild of it all."""

import secrets
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pytest

from radkeep.archive import found, recovery
from radkeep.archive.disk import Disk, SystemDisk
from radkeep.archive.verify import verify
from radkeep.archive.writer import Limits
from radkeep.domain.placement import Placement
from radkeep.ingest.ports import Verdict
from radkeep.testing.catalog import MemoryCatalog
from radkeep.testing.records import ORGANIZATION, STUDY, FixedClock, describe, send


def test_live_volumes_are_left_alone_and_read(house) -> None:
    one, two = house.writer(), house.writer()
    send(one, "1.1", b"from one").result(5)
    send(two, "1.2", b"from two").result(5)
    result = house.recover()
    assert len(result.live) == 2
    assert not result.sealed
    assert house.body("1.1") == b"from one"
    one.close()
    assert len(house.recover().live) == 1
    assert send(two, "1.3", b"goes on").result(5) is Verdict.STORED


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("cut", ["cut", "sealed"])
def test_a_rebuild_repeats_verdicts_whatever_the_order_of_volumes(
    house, after_a_cut, monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...], cut: str
) -> None:
    writers = [house.writer() for _ in range(3)]
    for number, writer in enumerate(writers):
        send(writer, f"1.{number}", secrets.token_bytes(100)).result(5)
    rivals = [b"original", b"rival", b"ORIGINAL"]
    told = [
        send(writer, "1.9", body).result(5) for writer, body in zip(writers, rivals, strict=True)
    ]
    assert told == [Verdict.STORED, Verdict.CONFLICT, Verdict.SAME]
    # The other way round: the first process loses to the last.
    assert send(writers[2], "1.8", b"first").result(5) is Verdict.STORED
    assert send(writers[0], "1.8", b"second").result(5) is Verdict.CONFLICT
    for number, writer in enumerate(writers):
        send(writer, f"2.{number}", secrets.token_bytes(100)).result(5)
    before = house.catalog
    volumes = [house.place(f"1.{number}").volume for number in range(3)]
    if cut == "sealed":
        house.close()

    def ordered(_disk: Disk, _directory: Path) -> list[str]:
        return [volumes[number] for number in order]

    monkeypatch.setattr(recovery, "volume_names", ordered)
    old = after_a_cut(house)
    if cut == "sealed":
        for inode in old.disk.inodes:
            inode.protected = True

    def never(*_: object) -> Verdict:
        raise AssertionError("a ruling was made again")

    result = recovery.recover(
        old.folder,
        keys=old.keys,
        catalog=old.catalog,
        positions={},
        describe=describe,
        judge=never,
        clock=FixedClock(),
        disk=old.disk,
    )
    assert not result.findings
    assert old.catalog.instances == before.instances
    assert old.catalog.quarantine == before.quarantine
    assert set(old.catalog.positions) == set(before.positions)


def test_what_nobody_judged_is_judged_after_all_else(house, after_a_cut) -> None:
    """The cut came between a loser's sync and its ruling, and the catalog forgot the winner."""
    for names in range(6):  # whichever volume comes first by name
        one, two = house.writer(), house.writer()
        send(one, f"1.{names}", b"winner").result(5)
        send(one, f"2.{names}", b"settles it").result(5)
        two._groups._judge_all = lambda *_: None  # where the cut comes
        send(two, f"1.{names}", b"loser")
        two.close()
    old = after_a_cut(house)
    old.recover()
    assert all(old.body(f"1.{names}") == b"winner" for names in range(6))
    assert len(old.catalog.quarantine) == 6
    twice = after_a_cut(old)
    twice.recover()
    assert twice.catalog.instances == old.catalog.instances
    assert twice.catalog.quarantine == old.catalog.quarantine


def test_transfers_of_unsealed_volumes_are_told(house, after_a_cut) -> None:
    house.store("1.1", b"a", transfer="t1")
    house.store("1.2", b"b", transfer="t2")
    house.store("1.2", b"B", transfer="t1")  # equal
    house.store("1.2", b"c", transfer="t2")  # a conflict: not transferred
    for catalog in (house.catalog.copy(), MemoryCatalog()):
        transfers = after_a_cut(house).recover(catalog).transfers
        assert {name: len(digests) for name, digests in transfers.items()} == {"t1": 2, "t2": 1}
    house.close()
    assert not house.recover().transfers


def test_empty_and_unborn_volumes_are_removed(house, after_a_cut) -> None:
    house.writer().open(ORGANIZATION, STUDY)
    old = after_a_cut(house)
    old.disk.create(old.folder / "x.new")
    result = old.recover()
    assert not old.disk.files()
    assert not result.findings


def test_a_torn_tail_is_cut_and_the_rest_sealed(house, after_a_cut) -> None:
    house.store("1.1", b"whole")
    old = after_a_cut(house)
    (path,) = old.disk.files()
    old.disk.inodes[0].data[2048:2060] = b"torn garbage"
    assert [each.kind for each in old.recover().findings] == [found.FindingKind.TORN]
    assert b"torn garbage" not in old.disk.files()[path]
    assert old.body("1.1") == b"whole"
    assert not list(verify(old.folder, keys=old.keys, full=True, disk=old.disk))


CHILD = """
import sys
from pathlib import Path
from radkeep.archive.writer import Limits, VolumeWriter
from radkeep.testing.catalog import MemoryCatalog
from radkeep.testing.records import FixedClock, FixedKeys, send
keys = FixedKeys()
keys.assign = lambda *_: (bytes(16), bytes(32))
catalog = MemoryCatalog()
writer = VolumeWriter(Path(sys.argv[1]), keys=keys, catalog=catalog, judge=None, clock=FixedClock(),
    limits=Limits(step=1 << 20))
for line in sys.stdin:
    send(writer, line.strip(), b"body of " + line.strip().encode()).result(10)
    (place,) = [each.placement for each in catalog.instances.values()][-1:]
    print(place.volume, place.offset, place.length, flush=True)
"""


def test_records_that_another_process_is_writing_are_read(house, tmp_path: Path) -> None:
    made = type(house)(tmp_path, SystemDisk(), Limits(step=1 << 20))
    made.keys.keys[bytes(16)] = (bytes(32), ORGANIZATION)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin
    assert child.stdout
    try:
        for number in range(3):
            child.stdin.write(f"1.{number}\n")
            child.stdin.flush()
            volume, offset, length = child.stdout.readline().split()
            place = Placement(
                volume=volume, offset=int(offset), length=int(length), key_id=bytes(16)
            )
            assert made.read(place) == f"body of 1.{number}".encode()
        assert made.recover().live == [volume]
    finally:
        child.kill()
        child.communicate()
    result = made.recover()
    assert result.live == []
    assert [volume.records for volume in result.sealed] == [3]
    assert {name for _, name in made.catalog.instances} == {"1.0", "1.1", "1.2"}
