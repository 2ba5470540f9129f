# SPDX-License-Identifier: Apache-2.0
"""An index means durable; what was written is read; a disk that fails refuses."""

import errno
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from audit_logs import (
    SIGNING,
    FailingDisk,
    Ticks,
    actors,
    expected,
    fill,
    open_writer,
    reader,
    write,
)

from radkeep.audit.checkpoint import Checkpoint, origin, parse_checkpoint, sign_checkpoint
from radkeep.audit.events import MAX_EVENT_BYTES, Event
from radkeep.audit.log import LogReader
from radkeep.audit.records import encode_payload
from radkeep.audit.verify import verify
from radkeep.crypto.sign import SigningKey, sign_note
from radkeep.domain.errors import AuditUnavailableError, IntegrityError
from radkeep.testing.audit import sample_event


def test_entries_come_back_over_restarts_and_segments(tmp_path: Path) -> None:
    for groups in ([1, 2], [], [5, 1, 1], [3]):
        fill(tmp_path / "log", groups, segment=4)
    assert actors(tmp_path / "log") == expected(13)
    assert len(list((tmp_path / "log").glob("*.tree"))) == 2
    assert [entry.number for entry in reader(tmp_path / "log").read(6)] == list(range(6, 13))
    assert [entry.number for entry in reader(tmp_path / "log").tail(2)] == [11, 12]
    assert len(reader(tmp_path / "log").tail(99)) == 13
    entry = reader(tmp_path / "log").tail(1)[0]
    assert (entry.process, entry.event) == ("test", sample_event(12))


def test_an_empty_or_missing_log_reads_as_empty(tmp_path: Path) -> None:
    assert reader(tmp_path / "none").tail(3) == []
    fill(tmp_path / "log", [])
    assert reader(tmp_path / "log").tail(3) == []
    assert verify(tmp_path / "log", SIGNING.public).intact


def test_payloads_are_sealed_and_know_where_they_belong(tmp_path: Path) -> None:
    fill(tmp_path / "log", [2])
    raw = next((tmp_path / "log").glob("*.payloads")).read_bytes()
    assert b"sample" not in raw
    assert b"110112" not in raw
    payloads = list(reader(tmp_path / "log").payloads())
    assert [payload.index for payload in payloads] == [0, 1]
    assert payloads[0].boot == payloads[1].boot != ""
    with pytest.raises(IntegrityError):
        LogReader(tmp_path / "log", b"x" * 32, SIGNING.public).tail(1)


def test_one_group_is_one_sync_of_two_files_and_no_record_comes_before_its_payload(
    tmp_path: Path,
) -> None:
    disk = FailingDisk()
    with open_writer(tmp_path / "log", disk=disk) as log:
        disk.calls.clear()
        write(log, 50)
        assert disk.calls == ["write payloads", "sync payloads", "write tree", "sync tree"]


def test_a_full_disk_refuses_and_a_later_call_may_succeed(tmp_path: Path) -> None:
    disk = FailingDisk()
    with open_writer(tmp_path / "log", disk=disk) as log:
        write(log, 3)
        for call in (1, 2):  # payloads, records
            disk.arm("write", call)
            with pytest.raises(AuditUnavailableError):
                write(log, 2)
        assert log.size == 3
        assert write(log, 2) == (3, 4)
    assert actors(tmp_path / "log") == expected(5)
    assert verify(tmp_path / "log", SIGNING.public).intact


@pytest.mark.parametrize("call", [1, 2])
def test_after_a_failed_sync_the_writer_stays_closed(tmp_path: Path, call: int) -> None:
    disk = FailingDisk()
    log = open_writer(tmp_path / "log", disk=disk)
    write(log, 3)
    disk.arm("sync", call)
    with pytest.raises(AuditUnavailableError):
        write(log, 2)
    synced = disk.syncs
    for _ in range(2):
        with pytest.raises(AuditUnavailableError):
            write(log, 1)
    with pytest.raises(AuditUnavailableError):
        log.checkpoint()
    log.close()
    assert disk.syncs == synced
    with open_writer(tmp_path / "log") as log:
        assert log.size in (3, 5)
        write(log, 1)
        assert actors(tmp_path / "log") == expected(log.size)


def test_a_file_that_cannot_be_put_back_closes_the_writer(tmp_path: Path) -> None:
    disk = FailingDisk()
    log = open_writer(tmp_path / "log", disk=disk)
    write(log, 1)
    disk.arm("write")
    disk.arm("truncate")
    for _ in range(2):
        with pytest.raises(AuditUnavailableError):
            write(log, 1)


def test_a_failed_new_segment_refuses(tmp_path: Path) -> None:
    for operation in ("sync", "write"):
        directory = tmp_path / operation
        disk = FailingDisk()
        log = open_writer(directory, disk=disk, segment=2)
        write(log, 2)
        disk.arm(operation, 2)
        with pytest.raises(AuditUnavailableError):
            write(log, 1)
        log = open_writer(directory, segment=2)
        assert write(log, 1) == (2,)
        log.close()
        assert actors(directory) == expected(3)


def test_a_full_disk_puts_a_checkpoint_off(tmp_path: Path) -> None:
    disk, ticks = FailingDisk(), Ticks()
    with open_writer(tmp_path / "log", disk=disk, monotonic=ticks) as log:
        write(log, 2)
        disk.arm("replace")
        with pytest.raises(AuditUnavailableError):
            log.checkpoint()
        assert log.usable
        assert log.checkpoint().size == 2
        assert write(log, 1) == (2,)
    assert verify(tmp_path / "log", SIGNING.public).intact


def test_a_failed_checkpoint_does_not_take_indices_back(tmp_path: Path) -> None:
    disk, ticks = FailingDisk(), Ticks()
    disk.error = errno.EIO
    log = open_writer(tmp_path / "log", disk=disk, monotonic=ticks)
    ticks.now = 2_000_000_000
    disk.arm("replace")
    assert write(log, 2) == (0, 1)
    with pytest.raises(AuditUnavailableError):
        write(log, 1)
    assert not log.usable
    with open_writer(tmp_path / "log") as log:
        assert log.size == 2


def test_checkpoints_come_once_a_second_and_at_close(tmp_path: Path) -> None:
    ticks, path = Ticks(), tmp_path / "log" / "checkpoint"

    def signed() -> int:
        return parse_checkpoint(path.read_text(), SIGNING.public).size

    log = open_writer(tmp_path / "log", monotonic=ticks)
    assert signed() == 0
    write(log, 2)
    assert signed() == 0
    ticks.now += 1_000_000_000
    write(log, 1)
    assert signed() == 3
    write(log, 1)
    assert signed() == 3
    assert log.checkpoint().size == signed() == 4
    write(log, 1)
    log.close()
    assert signed() == 5
    log.close()
    with pytest.raises(AuditUnavailableError):
        log.append([])


def test_a_forged_or_missing_checkpoint_refuses_to_open(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    fill(directory, [3])
    good = (directory / "checkpoint").read_text()
    other = SigningKey.generate()
    for forged in (
        "",
        good.replace("\n3\n", "\n2\n"),
        sign_checkpoint(other, Checkpoint(3, bytes(32))),
        sign_checkpoint(SIGNING, Checkpoint(3, bytes(32))),  # by a stolen key
        sign_checkpoint(SIGNING, Checkpoint(4, bytes(32))),
    ):
        (directory / "checkpoint").write_text(forged)
        with pytest.raises(IntegrityError):
            open_writer(directory)
    (directory / "checkpoint").unlink()
    with pytest.raises(IntegrityError, match="checkpoint"):
        open_writer(directory)
    (directory / "checkpoint").write_text(good)
    open_writer(directory).close()


@pytest.mark.parametrize("content", [None, b"", b"x" * 32, b"x" * 31])
def test_a_lost_or_false_range_is_computed_again(tmp_path: Path, content: bytes | None) -> None:
    directory = tmp_path / "log"
    fill(directory, [3, 4], segment=4)
    (directory / "range").unlink()
    if content is not None:
        (directory / "range").write_bytes(content)
    with open_writer(directory, segment=4) as log:
        assert log.size == 7
        write(log, 2)
    assert verify(directory, SIGNING.public).intact


def test_missing_files_refuse_to_open(tmp_path: Path) -> None:
    for number, name in enumerate(("0000000000000000.tree", "0000000000000004.tree")):
        directory = tmp_path / str(number)
        fill(directory, [4, 4], segment=4)
        (directory / name).unlink()
        with pytest.raises(IntegrityError):
            open_writer(directory)


def test_a_log_without_its_files_refuses_to_open(tmp_path: Path) -> None:
    fill(tmp_path, [2])
    for path in (*tmp_path.glob("*.tree"), *tmp_path.glob("*.payloads")):
        path.unlink()
    with pytest.raises(IntegrityError, match="lost its entries"):
        open_writer(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["other\n3\nAA==\n", "{}\n", "{}\n-1\nAA==\n", "{}\n03\nAA==\n", "{}\n3\n?\n", "{}\n3\nAA==\n"],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    name = origin(SIGNING.public)
    with pytest.raises(IntegrityError, match="checkpoint"):
        parse_checkpoint(sign_note(SIGNING, name, text.format(name)), SIGNING.public)


def test_a_long_or_broken_event_is_clipped_and_not_refused(tmp_path: Path) -> None:
    monster = "\0" * 50_000
    event = Event(
        **{
            name: getattr(sample_event(), name)
            for name in ("event", "time", "actor_kind", "actor_id")
        },
        actor_name=monster,
        organization=monster,
        address=monster,
        session=monster,
        study="\ud800" * 5,
        patient=monster,
        digest=monster,
        detail={f"{n}{monster}": monster for n in range(20)},
    )
    with open_writer(tmp_path / "log") as log:
        log.append([("test", event)])
    (payload,) = reader(tmp_path / "log").payloads()
    assert payload.event.detail["clipped"] == "true"
    assert payload.event.study == "?????"
    assert payload.event.actor_id == "sample-0"
    assert len(encode_payload(payload)) <= MAX_EVENT_BYTES


def test_threads_get_one_order(tmp_path: Path) -> None:
    indices: list[tuple[int, ...]] = []
    with open_writer(tmp_path / "log", segment=16) as log:

        def work() -> None:
            indices.extend(log.append([("t", sample_event())] * count) for count in (1, 3, 2, 4))

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(index for group in indices for index in group) == list(range(60))
    for group in indices:
        assert all(b == a + 1 for a, b in pairwise(group))
    assert verify(tmp_path / "log", SIGNING.public).size == 60


def test_reading_while_it_is_written(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    done = threading.Event()
    with open_writer(directory, segment=16) as log:
        write(log, 1)
        seen: list[int] = []

        def follow() -> None:
            log_reader = reader(directory)
            while not done.is_set() or len(seen) < 121:
                for entry in log_reader.read(len(seen)):
                    assert entry.event.actor_id == f"sample-{entry.number}"
                    seen.append(entry.number)
                assert verify(directory, SIGNING.public).intact

        thread = threading.Thread(target=follow)
        thread.start()
        for _ in range(40):
            write(log, 3)
        done.set()
        thread.join()
    assert seen == list(range(121))


def test_a_reader_sees_whole_groups_only(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    log = open_writer(directory)
    write(log, 2)
    write(log, 3)
    tree = next(directory.glob("*.tree"))
    whole = tree.read_bytes()
    for length in range(16 + 2 * 48, 16 + 5 * 48):
        tree.write_bytes(whole[:length])
        assert reader(directory).size() == 2
        assert verify(directory, SIGNING.public).intact
    tree.write_bytes(whole)
    assert reader(directory).size() == 5
    log.close()
