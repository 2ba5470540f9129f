# SPDX-License-Identifier: Apache-2.0
"""The replay of one volume into the catalog.

Invariant: an arrival reaches the catalog only when its record is whole; one that was ruled about
gets that ruling again and no other.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from radkeep.archive.findings import Finding, FindingKind
from radkeep.archive.format import MAX_GROUP_RECORDS, Indexed, RecordKind, Ruling, parse_ruling
from radkeep.archive.found import Found, Span
from radkeep.archive.groups import Judge
from radkeep.archive.keyring import KeyMissingError
from radkeep.archive.reader import Keys
from radkeep.archive.record import record_digest
from radkeep.archive.sealing import SealedVolume
from radkeep.domain.errors import IntegrityError, RadkeepError
from radkeep.domain.placement import Placement
from radkeep.ingest.ports import Arrival, CatalogWriter, Clash, Verdict

_BATCH: Final = 256  # arrivals in one catalog transaction

Describe = Callable[[bytes, Placement], Arrival]


@dataclass(slots=True)
class Recovery:
    """What was found and done."""

    findings: list[Finding] = field(default_factory=list)
    transfers: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """Digests of what was stored, by transfer, of volumes whose process did not end well."""
    sealed: list[SealedVolume] = field(default_factory=list)
    live: list[str] = field(default_factory=list)  # volumes that others are writing
    replayed: int = 0  # records given to the catalog
    erased: int = 0  # records whose key is gone

    def report(self, found: Found) -> None:
        """Take over the findings of a volume."""
        self.findings += [each for each in found.findings if each not in self.findings]


class Rulings:
    """What was ruled about records, by volume and offset, in whatever volume the ruling lies."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._known: dict[tuple[str, int], Ruling] = {}

    def collect(self, found: Found) -> None:
        """Read all rulings in a volume."""
        for span in found.spans():
            for record in span.records:
                if record.kind is RecordKind.RULING:
                    self._read(found, record)

    def of(self, placement: Placement) -> Ruling | None:
        """Return what was ruled about the record at ``placement``."""
        return self._known.get((placement.volume, placement.offset))

    def add(self, placement: Placement, ruling: Ruling) -> None:
        """Remember a ruling that was made just now."""
        self._known[placement.volume, placement.offset] = ruling

    def _read(self, found: Found, record: Indexed) -> None:
        try:
            body = found.open(record, self._keys).body
            volume, offset, ruling = parse_ruling(b"".join(body.read(0, body.length)))
        except KeyMissingError:  # with the key of the record it is about
            return
        except IntegrityError:  # noted when the volume is replayed
            return
        else:
            self._known[volume, offset] = ruling


class Replay:
    """Gives one volume's records to the catalog."""

    def __init__(
        self,
        found: Found,
        *,
        keys: Keys,
        catalog: CatalogWriter,
        describe: Describe,
        judge: Judge,
        rulings: Rulings,
        result: Recovery,
    ) -> None:
        """Prepare the replay of ``found`` from the position that the catalog has reached."""
        self.found = found
        self.position = found.position
        self.end = found.end  # grows when whole records are found behind the last group
        self.whole: list[Indexed] = []
        self.made: list[tuple[Arrival, Ruling]] = []  # rulings made now, to be written
        self.deferred: list[Arrival] = []  # ruled SAME: news only if the other record was lost
        self.unsettled: list[Arrival] = []  # of the last group: perhaps not judged before the cut
        self._keys = keys
        self._catalog = catalog
        self._describe = describe
        self._judge = judge
        self._rulings = rulings
        self._result = result

    def run(self) -> None:
        """Do it. The position stays where it was: a cut during replays repeats them."""
        found = self.found
        spans = found.spans()
        if self.position > found.end:
            found.note(found.end, FindingKind.DAMAGE, "acknowledged records are missing from here")
        if found.seal is not None:
            spans = [_behind(span, self.position) for span in spans]
        last = len(spans) if found.seal else _last_instances(spans)
        first = 0 if found.seal else _first_to_replay(spans, self.position)
        batch: list[Arrival] = []
        for number, span in enumerate(spans):
            for arrival in self._arrivals(span):
                if number >= last:
                    self.unsettled.append(arrival)
                elif number >= first:
                    batch.append(arrival)
                if len(batch) >= _BATCH:
                    self._commit(batch)
                    batch = []
        self._commit(batch)
        self._result.report(found)

    def settle(self, arrival: Arrival) -> None:
        """Replay one of the unsettled, after everything that was settled before the cut."""
        self._commit([arrival])

    def _arrivals(self, span: Span) -> Iterator[Arrival]:
        found = self.found
        doubtful = span.salvaged or (found.seal is None and span.end > self.position)
        for record in span.records:
            try:
                arrival = self._arrival(record, doubtful=doubtful)
            except KeyMissingError:
                self._result.erased += 1
            except RadkeepError as error:
                if span.end > found.end:
                    continue  # a part of a torn group
                kind = found.kind_of(span.end)
                found.note(record.offset, kind, str(error))
                if kind is FindingKind.INCOMPLETE:
                    continue
            else:
                if arrival is not None:
                    yield arrival
            if span.salvaged:
                record = self._digested(record)  # noqa: PLW2901 - no marker has its digest
            self.whole.append(record)
            self.end = max(self.end, record.offset + record.length)

    def _digested(self, record: Indexed) -> Indexed:
        def read(at: int, length: int) -> bytes:
            return self.found.file.read(record.offset + at, length)

        return replace(record, digest=record_digest(read, record.length))

    def _arrival(self, record: Indexed, *, doubtful: bool) -> Arrival | None:
        """Return what a record once was; None when it is a ruling."""
        opened = self.found.open(record, self._keys)
        head = b"".join(opened.head.read(0, opened.head.length))
        if doubtful:  # perhaps never acknowledged, so perhaps not all there
            for _ in opened.body.read(0, opened.body.length):
                pass
        if record.kind is not RecordKind.INSTANCE:
            return None
        arrival = self._describe(head, self.found.placement(record))
        if self.found.seal is None and self._rulings.of(arrival.placement) in (None, Ruling.SAME):
            self._result.transfers[arrival.transfer].append(arrival.digest)
        return arrival

    def _commit(self, batch: list[Arrival]) -> None:
        """Give a batch to the catalog, each arrival as it was ruled."""
        ruled = [(arrival, self._rulings.of(arrival.placement)) for arrival in batch]
        fresh = [arrival for arrival, ruling in ruled if ruling is None]
        self.deferred += [arrival for arrival, ruling in ruled if ruling is Ruling.SAME]
        told = [
            (arrival, Verdict.CONFLICT) for arrival, ruling in ruled if ruling is Ruling.CONFLICT
        ]
        name = self.found.name
        outcomes = self._catalog.commit(name, self.position, fresh) if fresh else []
        for arrival, outcome in zip(fresh, outcomes, strict=True):
            if isinstance(outcome, Clash):
                told += self._judge_now(arrival, outcome)
        if told:
            self._catalog.judged(name, self.position, told)
        self._result.replayed += len(fresh) + len(told)

    def _judge_now(self, arrival: Arrival, clash: Clash) -> Iterable[tuple[Arrival, Verdict]]:
        try:
            verdict = self._judge(clash, arrival)
        except RadkeepError as error:
            offset = arrival.placement.offset
            self.found.note(offset, FindingKind.DAMAGE, f"cannot be compared: {error}")
            return []
        ruling = Ruling.SAME if verdict is Verdict.SAME else Ruling.CONFLICT
        self.made.append((arrival, ruling))
        self._rulings.add(arrival.placement, ruling)
        if ruling is Ruling.CONFLICT and self.found.seal is None:
            self._result.transfers[arrival.transfer].remove(arrival.digest)
        return [(arrival, verdict)]


def _behind(span: Span, position: int) -> Span:
    """Return the records of a sealed volume behind ``position``, and a group's worth before it."""
    before = sum(record.offset < position for record in span.records)
    return Span(span.end, span.records[max(0, before - MAX_GROUP_RECORDS) :])


def _first_to_replay(spans: list[Span], position: int) -> int:
    """Return the number of the first group to replay: the last instances before ``position``.

    The catalog may have them without what was ruled about them a moment later.
    """
    first = next((number for number, span in enumerate(spans) if span.end > position), len(spans))
    while first > 0:
        first -= 1
        if any(record.kind is RecordKind.INSTANCE for record in spans[first].records):
            break
    return first


def _last_instances(spans: list[Span]) -> int:
    """Return the number of the last group with instances.

    Of all before it, those that lost a clash are ruled about. Of its own, some may not be, even
    when they are in the catalog: the cut may have come between commit and ruling.
    """
    for number in range(len(spans) - 1, -1, -1):
        if any(record.kind is RecordKind.INSTANCE for record in spans[number].records):
            return number
    return len(spans)
