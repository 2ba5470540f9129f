# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN001 - the types of fixtures are in conftest.py
import hashlib
import secrets
import threading
import tracemalloc
from pathlib import Path

import pytest

from radkeep.archive.disk import SystemDisk
from radkeep.archive.slabs import SLAB, SlabPool
from radkeep.archive.verify import verify
from radkeep.archive.writer import Limits
from radkeep.domain.errors import IntegrityError, UnavailableError
from radkeep.domain.limits import SMALL_OBJECT_BYTES
from radkeep.domain.placement import Placement
from radkeep.ingest.ports import Arrival, Clash, Verdict
from radkeep.testing.disk import RecordingDisk
from radkeep.testing.records import ORGANIZATION, STUDY, Head, describe, send

CHUNK = 65_536
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK, 4 * CHUNK + 1, 700_000, 2_200_000, 5_000_000]


@pytest.mark.parametrize("piece", [777, 65_536, 131_072, 262_144])
def test_what_was_written_is_read_whatever_its_pieces(house, piece: int) -> None:
    bodies = {f"1.{size}": secrets.token_bytes(size) for size in (*SIZES[:-2],)}
    writer = house.writer()
    for name, body in bodies.items():
        assert send(writer, name, body, piece=piece).result(5) is Verdict.STORED
    assert all(house.body(name) == body for name, body in bodies.items())


@pytest.mark.parametrize("size", SIZES)
def test_head_and_ranges_of_the_body(house, size: int) -> None:
    body = secrets.token_bytes(size)
    house.store("1.2", body)
    place = house.place("1.2")
    assert (
        house.reader.head(place) == Head("1.2", hashlib.sha256(body).digest(), len(body)).encode()
    )
    edges = sorted({0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 17 * CHUNK, size // 2, size - 1, size})
    edges = [edge for edge in edges if 0 <= edge <= size]
    for start in edges:
        for stop in edges:
            if start <= stop:
                pieces = list(house.reader.body(place, start, stop))
                assert all(len(piece) <= 1 << 20 for piece in pieces)
                assert b"".join(pieces) == body[start:stop]
    with pytest.raises(IntegrityError):
        list(house.reader.body(place, 0, size + 1))


def test_a_large_head_comes_back(house) -> None:
    record = house.writer().open(ORGANIZATION, STUDY)
    record.write(memoryview(b"body"))
    head = Head("1.2", b"", 4, transfer="x" * 300_000).encode()
    record.finish(head, lambda place: describe(head, place)).result(5)
    assert house.reader.head(house.place("1.2")) == head


def test_verdicts(house) -> None:
    assert house.store("1.2", b"abc") is Verdict.STORED
    assert house.store("1.2", b"abc") is Verdict.SAME
    assert house.store("1.2", b"ABC") is Verdict.SAME
    assert house.store("1.2", b"xyz") is Verdict.CONFLICT
    assert house.body("1.2") == b"abc"
    assert [house.read(each.placement) for each in house.catalog.quarantine.values()] == [b"xyz"]


def test_a_large_object_has_a_sealed_volume_of_its_own(house) -> None:
    large = secrets.token_bytes(SMALL_OBJECT_BYTES + 200_000)
    house.store("1.1", b"small")
    house.store("1.2", large)
    house.store("1.2", large[::-1])  # its conflict as well, with the ruling in it
    assert house.place("1.1").volume != house.place("1.2").volume
    assert [volume.records for volume in house.sealed] == [1, 2]
    assert house.body("1.2") == large
    house.close()
    assert not list(verify(house.folder, keys=house.keys, full=True, disk=house.disk))


def test_memory_is_bounded_while_a_large_object_streams(house, tmp_path: Path) -> None:
    made = type(house)(tmp_path, SystemDisk())
    record = made.writer().open(ORGANIZATION, STUDY)
    piece = memoryview(secrets.token_bytes(1 << 18))
    record.write(piece)
    tracemalloc.start()
    for _ in range(120):
        record.write(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 << 20  # of 30 MiB
    head = Head("1.2", b"", 1).encode()
    record.finish(head, lambda place: describe(head, place)).result(10)
    assert made.reader.body_length(made.place("1.2")) == 121 << 18
    made.close()


def test_an_abandoned_record_leaves_nothing(house) -> None:
    writer = house.writer()
    for size in (10, 300_000, SMALL_OBJECT_BYTES + 1_000_000):
        record = writer.open(ORGANIZATION, STUDY)
        record.write(memoryview(bytes(size)))
        record.abandon()
        record.abandon()
    house.close()
    assert not house.disk.files()


def test_volumes_roll_at_their_limit_and_are_protected(house) -> None:
    for number in range(30):
        house.store(f"1.{number}", secrets.token_bytes(100_000))
    house.close()
    assert len(house.sealed) == 3
    assert sum(volume.records for volume in house.sealed) == 30
    for name in house.disk.names(house.folder):
        with pytest.raises(IntegrityError):
            house.disk.open(house.folder / name, writable=True)
    assert all(house.body(f"1.{number}") for number in range(30))


def test_many_threads(house) -> None:
    writer = house.writer()
    bodies = {f"1.{number}": secrets.token_bytes(number * 9_000) for number in range(40)}

    def run(names: list[str]) -> None:
        for name in names:
            send(writer, name, bodies[name]).result(10)

    threads = [threading.Thread(target=run, args=(list(bodies)[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(house.body(name) == body for name, body in bodies.items())


def test_scarce_buffers_spill_into_a_volume_of_their_own(house) -> None:
    house.limits = Limits(volume=1 << 20, step=256 << 10, buffers=3 * SLAB)
    writer = house.writer()
    records = [writer.open(ORGANIZATION, STUDY) for _ in range(3)]
    body = secrets.token_bytes(600_000)  # three slabs each, were there any
    for record in records:
        record.write(memoryview(body))
    with pytest.raises(UnavailableError):
        writer.open(ORGANIZATION, STUDY)
    for number, record in enumerate(records):
        head = Head(f"1.{number}", b"", 1).encode()
        record.finish(head, lambda place, head=head: describe(head, place)).result(5)
    assert all(house.body(f"1.{number}") == body for number in range(3))
    writer.open(ORGANIZATION, STUDY).abandon()


def test_a_closed_writer_refuses(house) -> None:
    writer = house.writer()
    record = writer.open(ORGANIZATION, STUDY)
    writer.close()
    with pytest.raises(UnavailableError):
        writer.open(ORGANIZATION, STUDY)
    with pytest.raises(UnavailableError):
        record.finish(b"", lambda _place: pytest.fail("not reached")).result(5)
    writer.close()


def test_nothing_is_readable_on_the_disk(house) -> None:
    house.store("1.2.840.99999", b"DOE^JANE" * 1000)
    house.close()
    everything = b"".join(house.disk.files().values())
    for word in (b"DOE^JANE", b"1.2.840.99999", b"transfer-1", ORGANIZATION.encode()):
        assert word not in everything
    assert all(key not in everything for key, _ in house.keys.keys.values())


def test_records_are_bound_to_key_and_place(house) -> None:
    house.store("1.2", b"abc" * 100)
    house.store("1.3", b"xyz" * 100)
    one, two = house.place("1.2"), house.place("1.3")
    for wrong in (
        Placement(volume=one.volume, offset=two.offset, length=one.length + 1, key_id=one.key_id),
        Placement(volume=one.volume, offset=one.offset, length=one.length, key_id=bytes(16)),
        Placement(volume=one.volume, offset=one.offset + 1, length=one.length, key_id=one.key_id),
        Placement(volume="0" * 32, offset=one.offset, length=one.length, key_id=one.key_id),
        Placement(volume="../" + one.volume, offset=0, length=one.length, key_id=one.key_id),
    ):
        with pytest.raises(IntegrityError):
            house.reader.head(wrong)


def test_the_slab_pool_lends_no_more_than_its_limit() -> None:
    pool = SlabPool(2)
    first, second = pool.take(), pool.take()
    assert first
    assert second
    assert pool.take() is None
    first.used = 7
    pool.release([first], returned=False)
    again = pool.take()
    assert again is first
    assert again.used == 0


def test_it_works_on_a_real_disk(house, tmp_path: Path) -> None:
    made = type(house)(tmp_path, SystemDisk())
    body = secrets.token_bytes(300_000)
    assert made.store("1.2", body) is Verdict.STORED
    assert made.body("1.2") == body
    assert made.store("1.2", b"other") is Verdict.CONFLICT
    made.close()
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o400
    assert path.stat().st_size < 310_000  # what was allocated ahead is given back
    assert not list(verify(tmp_path, keys=made.keys, full=True))
    with pytest.raises(IntegrityError):
        SystemDisk().open(path, writable=True)


def test_order_of_truth(house) -> None:
    """Nothing is in the catalog before it is durable; nothing is answered before it is there."""
    disk = house.disk
    assert isinstance(disk, RecordingDisk)
    durable: list[bool] = []
    insert = house.catalog._insert

    def spy(arrival: Arrival) -> Verdict | Clash:
        durable.append(all(not inode.pending for inode in disk.inodes))
        return insert(arrival)

    house.catalog._insert = spy
    future = send(house.writer(), "1.2", b"abc")
    answered = []
    future.add_done_callback(lambda _: answered.append(bool(house.catalog.instances)))
    future.result(5)
    assert durable == [True]
    assert answered == [True]
