# SPDX-License-Identifier: Apache-2.0
import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from radkeep.archive import keypool
from radkeep.archive.keylog import Entry
from radkeep.archive.keypool import KeyPool
from radkeep.archive.keyring import ROOT, Keyring, KeyringWriter, new_key
from radkeep.domain.errors import ArchiveFullError, IntegrityError, UnavailableError
from radkeep.domain.uid import Uid
from radkeep.testing.disk import RecordingDisk
from radkeep.testing.records import ORGANIZATION, FixedClock

RING, MIRROR = Path("/ring"), Path("/mirror")


class Supervisor:
    """Appends when it is told to go on."""

    def __init__(self) -> None:
        self.disk = RecordingDisk()
        self.root = secrets.token_bytes(32)
        self.writer = KeyringWriter(RING, MIRROR, disk=self.disk)
        entry, _ = new_key(
            (ROOT, self.root), label="organization", organization=ORGANIZATION, clock=FixedClock()
        )
        self.writer.append([entry])
        self.keyring = Keyring.open(RING, MIRROR, self.root, disk=self.disk)
        self.go = threading.Event()
        self.go.set()
        self.asked = threading.Event()
        self.error: Exception | None = None
        self.batches = 0

    def append(self, entries: Sequence[Entry]) -> Future[None]:
        done: Future[None] = Future()
        self.asked.set()
        self.go.wait(10)
        self.batches += 1
        if self.error:
            done.set_exception(self.error)
        else:
            self.writer.append(entries)
            done.set_result(None)
        return done

    def pool(self, batch: int = 8) -> KeyPool:
        return KeyPool(self.keyring, self.append, clock=FixedClock(), batch=batch)


def study(number: int) -> Uid:
    return Uid(f"1.2.3.{number}")


def test_a_key_is_durable_before_it_is_assigned_and_serves_one_study() -> None:
    supervisor = Supervisor()
    pool = supervisor.pool()
    seen: dict[bytes, Uid] = {}
    for number in range(50):
        key_id, key = pool.assign(ORGANIZATION, study(number))
        assert seen.setdefault(key_id, study(number)) == study(number)
        durable = RecordingDisk(
            {
                path: supervisor.disk.inodes[inode].durable
                for path, inode in supervisor.disk.durable_names.items()
            }
        )
        for left in (RING, MIRROR):
            alone = Keyring.open(left, left, supervisor.root, disk=durable)
            assert alone.key(key_id) == key
            assert alone.organization(key_id) == ORGANIZATION
    assert len(seen) == 50
    assert pool.assign(ORGANIZATION, study(3)) == pool.assign(ORGANIZATION, study(3))


def test_a_warm_pool_does_not_wait_for_the_writer() -> None:
    supervisor = Supervisor()
    pool = supervisor.pool()
    pool.assign(ORGANIZATION, study(0))
    supervisor.asked.clear()
    supervisor.go.clear()
    for number in range(1, 5):  # the refill is ordered, and hangs
        pool.assign(ORGANIZATION, study(number))
    assert supervisor.asked.wait(5)
    pool.assign(ORGANIZATION, study(6))
    supervisor.go.set()


def test_many_threads_never_share_a_key_between_studies() -> None:
    supervisor = Supervisor()
    pool = supervisor.pool(batch=16)
    seen: list[tuple[Uid, bytes]] = []

    def run(offset: int) -> None:
        for number in range(40):
            name = study(offset + number)
            seen.append((name, pool.assign(ORGANIZATION, name)[0]))

    threads = [threading.Thread(target=run, args=(20 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_key = {}
    for name, key_id in seen:
        assert by_key.setdefault(key_id, name) == name


def test_a_refused_batch_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor()
    pool = supervisor.pool()
    supervisor.error = ArchiveFullError("no room")
    with pytest.raises(UnavailableError) as caught:
        pool.assign(ORGANIZATION, study(1))
    assert isinstance(caught.value.__cause__, ArchiveFullError)
    supervisor.error = None
    key_id, key = pool.assign(ORGANIZATION, study(1))
    assert supervisor.keyring.key(key_id) == key


def test_a_mistake_in_the_writer_stocks_nothing() -> None:
    supervisor = Supervisor()
    pool = supervisor.pool()
    supervisor.error = UnavailableError("locked")
    with pytest.raises(UnavailableError):
        pool.assign(ORGANIZATION, study(1))
    with pytest.raises(UnavailableError, match="no key"):
        pool.assign("org-unknown", study(1))


def test_studies_beyond_the_limit_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypool, "MAX_STUDIES", 2)
    supervisor = Supervisor()
    pool = supervisor.pool()
    first = pool.assign(ORGANIZATION, study(1))
    pool.assign(ORGANIZATION, study(2))
    pool.assign(ORGANIZATION, study(3))
    assert pool.assign(ORGANIZATION, study(1)) != first


def test_a_closed_pool_has_nothing_under_way_and_orders_nothing() -> None:
    supervisor = Supervisor()
    supervisor.go.clear()
    pool = supervisor.pool()
    pool.warm(ORGANIZATION)
    assert supervisor.asked.wait(10)
    closer = threading.Thread(target=pool.close)
    closer.start()
    assert closer.is_alive()
    supervisor.go.set()
    closer.join(10)
    assert supervisor.batches == 1
    supervisor.writer.close()
    while True:  # what was stocked may be used up; nothing more is asked for
        try:
            pool.assign(ORGANIZATION, study(secrets.randbelow(1 << 60)))
        except UnavailableError:
            break
    assert supervisor.batches == 1


def test_nothing_is_appended_to_a_closed_keyring() -> None:
    supervisor = Supervisor()
    supervisor.writer.close()
    entry, _ = new_key(
        (ROOT, supervisor.root), label="x", organization=ORGANIZATION, clock=FixedClock()
    )
    with pytest.raises(IntegrityError):
        supervisor.writer.append([entry])
