# SPDX-License-Identifier: Apache-2.0
"""The way of one group: volume, catalog, rulings, answers, in this order.

Invariant: an answer is given after everything it promises is durable; a record that was refused
after it may have become durable is withdrawn by a ruling, so that no replay brings it back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from radkeep.archive.format import Ruling, pack_ruling
from radkeep.archive.record import Finished, ruling_record
from radkeep.archive.slabs import SlabPool
from radkeep.archive.volume import OpenVolume, Sealed
from radkeep.domain.errors import IntegrityError, RadkeepError
from radkeep.domain.placement import Placement
from radkeep.ingest.ports import Arrival, CatalogWriter, Clash, Verdict

log = structlog.get_logger()

Judge = Callable[[Clash, Arrival], Verdict]
Placed = tuple[Finished, Arrival]


@dataclass(frozen=True, slots=True)
class _Withdrawn:
    """A record that was refused and may be durable."""

    volume: bytes
    offset: int
    item: Finished


class Groups:
    """Stores groups. Used by the writer thread."""

    def __init__(self, catalog: CatalogWriter, judge: Judge, slabs: SlabPool) -> None:
        self._catalog = catalog
        self._judge = judge
        self._slabs = slabs
        self.withdrawn: list[_Withdrawn] = []

    def store(self, volume: OpenVolume, items: Sequence[Finished]) -> None:
        """Store ``items`` as one group of ``volume`` and settle their futures."""
        try:
            if self.withdrawn:
                self.withdraw(volume)
        except RadkeepError as error:
            self.fail(items, error)
            return
        placed = self._place(volume, items)
        if not placed:
            return
        try:
            end = volume.write([item.sealed for item, _ in placed])
        except RadkeepError as error:
            if isinstance(error, IntegrityError):
                self._note_withdrawn(volume, placed)
            self.fail([item for item, _ in placed], error)
            return
        self._release([item for item, _ in placed])
        try:
            outcomes = self._catalog.commit(
                volume.name, end, [arrival for _, arrival in placed], durable=volume.settle
            )
        except RadkeepError as error:
            self._settle_refused(volume)
            self._note_withdrawn(volume, placed)
            self.fail([item for item, _ in placed], error)
            return
        clashes: list[tuple[Placed, Clash]] = []
        for each, outcome in zip(placed, outcomes, strict=True):
            if isinstance(outcome, Clash):
                clashes.append((each, outcome))
            else:
                each[0].future.set_result(outcome)
        if clashes:
            self._judge_all(volume, clashes)

    def withdraw(self, volume: OpenVolume) -> None:
        """Make withdrawals durable in ``volume``, wherever the records are.

        Raises:
            RadkeepError: they are not; call again with another volume.
        """
        volume.append(
            [
                _ruling(each.item, each.volume, each.offset, Ruling.WITHDRAWN)
                for each in self.withdrawn
            ]
        )
        self.withdrawn = []

    def fail(self, items: Sequence[Finished], error: RadkeepError) -> None:
        """Answer ``error`` to all of ``items`` that have no answer yet."""
        self._release(items)
        for item in items:
            if not item.future.done():
                item.future.set_exception(error)

    def _place(self, volume: OpenVolume, items: Sequence[Finished]) -> list[Placed]:
        placed: list[Placed] = []
        offset = volume.position
        for item in items:
            sealed = item.sealed
            placement = Placement(
                volume=volume.name, offset=offset, length=sealed.length, key_id=sealed.key_id
            )
            try:
                placed.append((item, item.describe(placement)))
            except RadkeepError as error:
                self.fail([item], error)
            else:
                offset += sealed.length
        return placed

    def _judge_all(self, volume: OpenVolume, clashes: Sequence[tuple[Placed, Clash]]) -> None:
        ruled: list[tuple[Placed, Verdict]] = []
        answers: list[Verdict] = []
        for each, clash in clashes:
            try:
                verdict = self._judge(clash, each[1])
            except RadkeepError as error:  # the original cannot be read
                self._note_withdrawn(volume, [each])
                self.fail([each[0]], error)
                continue
            ruled.append((each, verdict))
            refused = clash.deleted and verdict is Verdict.SAME
            answers.append(Verdict.DELETED if refused else verdict)
        if not ruled:
            return
        rulings = [
            _ruling(
                item,
                volume.id,
                arrival.placement.offset,
                Ruling.SAME if verdict is Verdict.SAME else Ruling.CONFLICT,
            )
            for (item, arrival), verdict in ruled
        ]
        try:
            volume.append(rulings)
            self._catalog.judged(
                volume.name,
                volume.position,
                [(arrival, verdict) for (_, arrival), verdict in ruled],
            )
        except RadkeepError as error:
            self.fail([item for (item, _), _ in ruled], error)
            return
        for ((item, _), _), answer in zip(ruled, answers, strict=True):
            item.future.set_result(answer)

    def _settle_refused(self, volume: OpenVolume) -> None:
        """Keep the bytes of a refused group; the withdrawal says that they do not count."""
        try:
            volume.settle()
        except IntegrityError as error:  # the volume has ended, as its writer will see
            log.warning("volume.settle.failed", volume=volume.name, code=error.code)

    def _note_withdrawn(self, volume: OpenVolume, placed: Sequence[Placed]) -> None:
        self.withdrawn += [
            _Withdrawn(volume.id, arrival.placement.offset, item) for item, arrival in placed
        ]

    def _release(self, items: Sequence[Finished]) -> None:
        for item in items:
            slabs, item.slabs = item.slabs, []
            self._slabs.release(slabs, returned=True)


def _ruling(item: Finished, volume: bytes, offset: int, ruling: Ruling) -> Sealed:
    body = pack_ruling(volume, offset, ruling)
    return ruling_record(item.sealed.key_id, item.key, item.organization, body)
