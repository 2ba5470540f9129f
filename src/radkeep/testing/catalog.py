# SPDX-License-Identifier: Apache-2.0
"""A catalog in memory: both ports of it, and no more.

Invariant: it keeps the contracts of the ports, so that a test with it means something.
"""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Self

import msgspec

from radkeep.dicom.facts import Facts
from radkeep.dicom.matching import matches
from radkeep.dicom.query import Level, Query
from radkeep.domain.errors import UnavailableError
from radkeep.domain.uid import Uid
from radkeep.ingest.ports import Arrival, Clash, Verdict
from radkeep.retrieval.ports import Changes, Page, StoredInstance


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


class MemoryCatalogReader:
    """Answers from what a ``MemoryCatalog`` remembers."""

    def __init__(self, catalog: MemoryCatalog) -> None:
        self._catalog = catalog
        self._hidden: set[tuple[str, str]] = set()
        self._version = 0

    def overlaid(self) -> int:
        """Return the version of the deletions that it shows."""
        return self._version

    def overlay(self, changes: Changes, *, anew: bool = False) -> int:
        """Show what changed since, or everything ``anew``."""
        self._version, rows = changes(0 if anew else self._version)
        for organization, uid, deleted in rows:
            self._hidden.discard((organization, uid))
            if deleted:
                self._hidden.add((organization, uid))
        return self._version

    def search(self, organization: str, level: Level, query: Query) -> Page:
        """Return the entities that match; each says what its first instance said."""
        rows: dict[tuple[Uid, ...], bytes] = {}
        for arrival in self._arrivals(organization):
            row = arrival.facts.json(level)
            if matches(query.filters, msgspec.json.decode(row)):
                rows.setdefault(_entity(arrival.facts, level), row)
        found = list(rows.values())[query.offset :]
        return Page(rows=found[: query.limit], more=len(found) > query.limit)

    def instances(
        self,
        organization: str,
        study: Uid,
        series: Uid | None = None,
        sop_instance: Uid | None = None,
    ) -> Sequence[StoredInstance]:
        """Return the instances of a study, series or the one instance, in Instance Number order."""
        found = [
            _stored(arrival)
            for arrival in self._arrivals(organization)
            if arrival.facts.study == study
            and series in {None, arrival.facts.series}
            and sop_instance in {None, arrival.facts.sop_instance}
        ]
        return sorted(found, key=lambda stored: (stored.number or 0, stored.sop_instance))

    def _arrivals(self, organization: str) -> list[Arrival]:
        known = list(self._catalog.instances.items())
        return [
            arrival
            for name, arrival in known
            if name[0] == organization and name not in self._hidden
        ]


def _entity(facts: Facts, level: Level) -> tuple[Uid, ...]:
    if level is Level.STUDY:
        return (facts.study,)
    return (facts.study, facts.series, facts.sop_instance)[: 2 + (level is Level.INSTANCE)]


def _stored(arrival: Arrival) -> StoredInstance:
    facts = arrival.facts
    return StoredInstance(
        study=facts.study,
        series=facts.series,
        sop_instance=facts.sop_instance,
        sop_class=facts.sop_class,
        transfer_syntax=facts.transfer_syntax,
        number=facts.integer(0x00200013),
        frames=facts.frames,
        patient=facts.patient_id,
        digest=arrival.digest,
        data_set_length=arrival.data_set_length,
        placement=arrival.placement,
    )
