# SPDX-License-Identifier: Apache-2.0
"""An audit log in memory, and the contract that it shares with the real ones.

Invariant: ``MemoryAuditLog`` passes ``AuditLogContract``, so a test with it means something.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime

from radkeep.audit.events import Event, EventId
from radkeep.audit.ports import AuditLog
from radkeep.domain.errors import AuditUnavailableError


class MemoryAuditLog:
    """An AuditLog that forgets at exit. Thread-safe.

    Set ``available`` to False and it refuses, as the real one does on a full disk.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.available = True
        self._lock = threading.Lock()

    def submit(self, events: Sequence[Event]) -> Future[tuple[int, ...]]:
        """Append ``events``; the future is done when this returns."""
        indices: Future[tuple[int, ...]] = Future()
        with self._lock:
            if self.available:
                first = len(self.events)
                self.events.extend(events)
                indices.set_result(tuple(range(first, first + len(events))))
            else:
                indices.set_exception(AuditUnavailableError("the audit log cannot append"))
        return indices

    def append(self, *events: Event) -> tuple[int, ...]:
        """Append ``events`` and return their indices."""
        return self.submit(events).result()

    def of(self, event: EventId) -> list[Event]:
        """Return the events of one kind, in order."""
        return [entry for entry in self.events if entry.event is event]


def sample_event(number: int = 0) -> Event:
    """Return an event that differs from those of other numbers."""
    return Event(
        event=EventId.QUERY,
        time=datetime(2026, 3, 1, 12, number // 60 % 60, number % 60, tzinfo=UTC),
        actor_kind="system",
        actor_id=f"sample-{number}",
    )


class AuditLogContract:
    """What every AuditLog does. Subclass it, and give a log in ``make`` and its content."""

    def make(self) -> AuditLog:
        """Return an empty log."""
        raise NotImplementedError

    def stored(self, log: AuditLog) -> list[Event]:
        """Return what ``log`` holds."""
        raise NotImplementedError

    def fail(self, log: AuditLog) -> None:
        """Make ``log`` unable to append."""
        raise NotImplementedError

    def test_indices_count_from_zero_without_gaps(self) -> None:
        """Each event gets the next index."""
        log = self.make()
        assert log.append(sample_event(0)) == (0,)
        assert log.append(sample_event(1), sample_event(2)) == (1, 2)
        assert log.submit([sample_event(3)]).result(5) == (3,)

    def test_an_index_means_that_the_event_is_stored(self) -> None:
        """Events come back as they were, in order."""
        log = self.make()
        log.append(sample_event(0), sample_event(1))
        log.submit([sample_event(2)]).result(5)
        assert self.stored(log) == [sample_event(number) for number in range(3)]

    def test_nothing_appends_nothing(self) -> None:
        """An empty group is no group."""
        log = self.make()
        assert log.append() == ()
        assert log.submit([]).result(5) == ()

    def test_threads_share_one_order(self) -> None:
        """No index is given twice, none is left out."""
        log, indices = self.make(), list[int]()

        def work(number: int) -> None:
            for _ in range(5):
                indices.extend(log.append(sample_event(number)))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(indices) == list(range(20))

    def test_a_log_that_cannot_append_says_so(self) -> None:
        """Both ways of appending refuse, and nothing is stored."""
        log = self.make()
        self.fail(log)
        assert isinstance(log.submit([sample_event(0)]).exception(5), AuditUnavailableError)
        try:
            log.append(sample_event(0))
        except AuditUnavailableError:
            return
        raise AssertionError("appended to a log that cannot append")
