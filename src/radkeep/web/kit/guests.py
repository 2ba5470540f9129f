# SPDX-License-Identifier: Apache-2.0
"""How many requests of one party are answered at once.

Invariant: no account and no token holds more than ``MAX_REQUESTS`` of the server's buffers, however
slowly it sends or reads; the others do not feel it.
"""

from collections import Counter
from threading import Lock
from typing import Final

from radkeep.domain.actor import Actor, ActorKind
from radkeep.domain.errors import Kind, ThrottledError

# Browsers open 6 connections, busy gateways some dozens; each request may hold about 5 MiB.
MAX_REQUESTS: Final = 128
_UNCOUNTED: Final = frozenset({ActorKind.LOCAL, ActorKind.SYSTEM})


class TooManyRequestsError(ThrottledError):
    """The party has enough requests under way."""

    kind, code = Kind.THROTTLED, "too-many-requests"


class Guests:
    """Counts requests by who sent them. Thread-safe."""

    def __init__(self) -> None:
        self._here: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()

    def enter(self, actor: Actor) -> None:
        """Count a request of ``actor``; ``leave`` ends it.

        Raises:
            TooManyRequestsError: it has MAX_REQUESTS already; nothing is counted.
        """
        if actor.kind in _UNCOUNTED:
            return
        with self._lock:
            if self._here[_name(actor)] >= MAX_REQUESTS:
                raise TooManyRequestsError("too many requests at once; wait for the others")
            self._here[_name(actor)] += 1

    def leave(self, actor: Actor) -> None:
        """Forget a request of ``actor``."""
        with self._lock:
            if self._here[_name(actor)] <= 1:
                del self._here[_name(actor)]
            else:
                self._here[_name(actor)] -= 1


def _name(actor: Actor) -> tuple[str, str]:
    return (actor.kind, actor.id)
