# SPDX-License-Identifier: Apache-2.0
"""Study keys in stock, so that storing never waits for a new key to become durable.

Invariant: a key leaves the stock only after its entry is durable in keyring and mirror, and leaves
it once: no key ever serves two studies.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Condition, Thread
from typing import Final

from radkeep.archive.keylog import Entry
from radkeep.archive.keyring import ORGANIZATION, STUDY, Keyring, new_key
from radkeep.domain.clock import Clock
from radkeep.domain.errors import RadkeepError, UnavailableError
from radkeep.domain.uid import Uid

MAX_WAIT: Final = 5.0  # seconds, when the stock is empty
MAX_STUDIES: Final = 4096  # whose key is remembered; a study forgotten gets another key

StudyKey = tuple[bytes, bytes]  # id and key
Append = Callable[[Sequence[Entry]], Future[None]]  # done when durable in file and mirror


class KeyPool:
    """Assigns keys to studies. Thread-safe."""

    def __init__(self, keyring: Keyring, append: Append, *, clock: Clock, batch: int = 256) -> None:
        """Make a pool.

        Args:
            keyring: knows the organizations' keys.
            append: sends entries to whoever writes the keyring.
            clock: dates the entries.
            batch: keys made at a time; a new batch is ordered when half of one is left.
        """
        self._keyring = keyring
        self._append = append
        self._clock = clock
        self._batch = batch
        self._changed = Condition()
        self._stocks: dict[str, deque[StudyKey]] = {}
        self._closed = False
        self._ordered: set[str] = set()
        self._failures: dict[str, RadkeepError] = {}
        self._assigned: OrderedDict[tuple[str, Uid], StudyKey] = OrderedDict()

    def close(self) -> None:
        """Order no more keys, and wait for those under way: the keyring may be closed next."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._ordered, timeout=MAX_WAIT * 2)

    def warm(self, organization: str) -> None:
        """Order keys for ``organization`` ahead of its first study."""
        with self._changed:
            self._order(organization)

    def assign(self, organization: str, study: Uid) -> StudyKey:
        """Return id and key for records of ``study``. Waits only when the stock is empty.

        Raises:
            UnavailableError: no durable key within 5 s.
        """
        name = (organization, study)
        with self._changed:
            found = self._assigned.get(name)
            if found is not None:
                self._assigned.move_to_end(name)
                return found
            found = self._take(organization, name)
            self._assigned[name] = found
            if len(self._assigned) > MAX_STUDIES:
                self._assigned.popitem(last=False)
            return found

    def _take(self, organization: str, name: tuple[str, Uid]) -> StudyKey:
        stock = self._stocks.setdefault(organization, deque())
        if len(stock) <= self._batch // 2:
            self._order(organization)
        self._changed.wait_for(
            lambda: stock or name in self._assigned or organization not in self._ordered,
            timeout=MAX_WAIT,
        )
        if name in self._assigned:  # by another thread, while this one waited
            return self._assigned[name]
        if not stock:
            cause = self._failures.get(organization)
            raise UnavailableError("no key could be made durable for this study") from cause
        return stock.popleft()

    def _order(self, organization: str) -> None:
        if organization not in self._ordered and not self._closed:
            self._ordered.add(organization)
            self._failures.pop(organization, None)
            Thread(target=self._refill, args=(organization,), daemon=True).start()

    def _refill(self, organization: str) -> None:
        """Make a batch, wait until it is durable, stock it. Runs apart: wrapping takes time."""
        stocked: list[StudyKey] = []
        failure: RadkeepError | None = None
        try:
            parent_id = self._keyring.find(ORGANIZATION, organization)
            if parent_id is None:
                raise UnavailableError("this organization has no key")
            parent = (parent_id, self._keyring.key(parent_id))
            made = [
                new_key(parent, label=STUDY, organization=organization, clock=self._clock)
                for _ in range(self._batch)
            ]
            self._append([entry for entry, _ in made]).result(timeout=MAX_WAIT * 2)
            stocked = [(entry.id, key) for entry, key in made]  # durable from here on
        except TimeoutError:
            failure = UnavailableError("the keyring's writer does not answer")
        except RadkeepError as error:
            failure = error
        finally:
            with self._changed:
                self._stocks.setdefault(organization, deque()).extend(stocked)
                self._ordered.discard(organization)
                if failure is not None:
                    self._failures[organization] = failure
                self._changed.notify_all()
