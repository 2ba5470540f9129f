# SPDX-License-Identifier: Apache-2.0
"""Growing delays against guessing (SP 800-63B-4 Section 3.2.2), held in memory.

Invariant: an attempt counts as failed from its beginning, so that parallel ones cannot slip
through; memory is bounded whatever comes; no delay is longer than its limit's longest, and none
needs a person to lift it.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from radkeep.domain.errors import Kind, ThrottledError

CAPACITY: Final = 65_536  # keys; about 20 MiB at most
_DOUBLINGS: Final = 30  # beyond these every delay is at its longest


class TooManyAttemptsError(ThrottledError):
    """Too many attempts failed; ``retry_after`` tells when another will be heard."""

    kind, code = Kind.THROTTLED, "too-many-attempts"

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many failed attempts; wait and try again")
        self.retry_after = retry_after  # seconds, at least 1


@dataclass(frozen=True, slots=True)
class Limit:
    """How patient we are with one kind of key."""

    name: str
    free: int  # failures before the first delay of 1 s, which then doubles
    longest: timedelta  # delay
    forget: timedelta  # after the last failure


@dataclass(slots=True)
class _Count:
    failures: int
    last: datetime
    until: datetime


Key = tuple[Limit, str]


class Throttle:
    """Counts failures by key. Thread-safe."""

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()
        self._lock = Lock()

    def enter(self, keys: Iterable[Key], now: datetime) -> None:
        """Begin an attempt under all of ``keys``.

        Raises:
            TooManyAttemptsError: one of them must wait; nothing is counted.
        """
        keys = list(keys)
        with self._lock:
            counts = [self._count(key, now) for key in keys]
            wait = max((count.until - now for count in counts), default=timedelta())
            if wait > timedelta():
                raise TooManyAttemptsError(int(wait.total_seconds()) + 1)
            for (limit, name), count in zip(keys, counts, strict=True):
                count.failures += 1
                count.last = now
                over = min(count.failures - limit.free, _DOUBLINGS)
                if over > 0:
                    count.until = now + min(timedelta(seconds=2 ** (over - 1)), limit.longest)
                self._counts[limit.name, name] = count
                self._counts.move_to_end((limit.name, name))
            while len(self._counts) > self._capacity:
                self._counts.popitem(last=False)

    def succeeded(self, cleared: Iterable[Key], refunded: Iterable[Key] = ()) -> None:
        """Forget the failures of ``cleared``; take this attempt alone off ``refunded``."""
        with self._lock:
            for limit, name in cleared:
                self._counts.pop((limit.name, name), None)
            for limit, name in refunded:
                count = self._counts.get((limit.name, name))
                if count is not None:
                    count.failures -= 1
                    count.until = count.last

    def _count(self, key: Key, now: datetime) -> _Count:
        limit, name = key
        count = self._counts.get((limit.name, name))
        if count is None or now - count.last > limit.forget:
            return _Count(0, now, now)
        return count


class Occasions:
    """Tells when a thing that happens often is worth another word. Thread-safe, bounded."""

    def __init__(self, every: timedelta, *, capacity: int = 1024) -> None:
        self._every = every
        self._capacity = capacity
        self._last: OrderedDict[str, datetime] = OrderedDict()
        self._lock = Lock()

    def due(self, key: str, now: datetime) -> bool:
        """Tell whether the last word on ``key`` is ``every`` ago, and count this as a word."""
        with self._lock:
            last = self._last.get(key)
            if last is not None and timedelta() <= now - last < self._every:
                return False
            self._last[key] = now
            self._last.move_to_end(key)
            while len(self._last) > self._capacity:
                self._last.popitem(last=False)
            return True
