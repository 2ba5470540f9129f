# SPDX-License-Identifier: Apache-2.0
"""A catalog in memory: an ``ingest.ports.CatalogWriter`` that keeps the contract, and no more."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Self

from radkeep.domain.errors import UnavailableError
from radkeep.ingest.ports import Arrival, Clash, Verdict


class MemoryCatalog:
    """Remembers arrivals. Thread-safe."""

    def __init__(self) -> None:
        self.instances: dict[tuple[str, str], Arrival] = {}
        self.quarantine: dict[tuple[str, int], Arrival] = {}  # by volume and offset
        self.positions: dict[str, int] = {}
        self.available = True
        self._lock = Lock()

    def commit(
        self,
        volume: str,
        position: int,
        arrivals: Sequence[Arrival],
        *,
        durable: Callable[[], None] | None = None,
    ) -> Sequence[Verdict | Clash]:
        """Insert ``arrivals`` and the position; all or nothing."""
        with self._lock:
            if not self.available:
                raise UnavailableError("the catalog is busy")
            if durable is not None:
                durable()
            self.positions[volume] = position
            return [self._insert(arrival) for arrival in arrivals]

    def judged(
        self, volume: str, position: int, rulings: Sequence[tuple[Arrival, Verdict]]
    ) -> None:
        """Enter quarantine rows, one for each placement, and the position."""
        with self._lock:
            if not self.available:
                raise UnavailableError("the catalog is busy")
            self.positions[volume] = position
            for arrival, verdict in rulings:
                if verdict is Verdict.CONFLICT:
                    placement = arrival.placement
                    self.quarantine[placement.volume, placement.offset] = arrival

    def copy(self) -> Self:
        """Return the catalog as it is now: what an older one would be after a power cut."""
        with self._lock:
            other = type(self)()
            other.instances = dict(self.instances)
            other.quarantine = dict(self.quarantine)
            other.positions = dict(self.positions)
            return other

    def _insert(self, arrival: Arrival) -> Verdict | Clash:
        name = (arrival.organization, arrival.facts.sop_instance)
        there = self.instances.get(name)
        if there is None:
            self.instances[name] = arrival
            return Verdict.STORED
        if there.digest == arrival.digest:
            return Verdict.SAME
        return Clash(
            original=there.placement,
            transfer_syntax=there.facts.transfer_syntax,
            data_set_length=there.data_set_length,
        )
