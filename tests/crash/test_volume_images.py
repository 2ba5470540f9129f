# SPDX-License-Identifier: Apache-2.0
"""Power cuts, below the archive: whatever of the unsynced writes survives, nothing is lost.

Every change of volumes and keyring is recorded while objects are stored; images of the disk as a
cut may leave it are then recovered, with no catalog and with an older one. RADKEEP_IMAGES says how
many images to take of each moment.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251 - a seed makes a failing image come again

import pytest

from radkeep.archive.findings import FindingKind
from radkeep.archive.keylog import Entry
from radkeep.archive.keypool import KeyPool
from radkeep.archive.keyring import ROOT, Keyring, KeyringWriter, new_key
from radkeep.archive.reader import VolumeReader
from radkeep.archive.recovery import Recovery, recover
from radkeep.archive.verify import verify
from radkeep.archive.writer import Limits, VolumeWriter
from radkeep.domain.placement import Placement
from radkeep.domain.uid import Uid
from radkeep.ingest.ports import Arrival, Clash, Verdict
from radkeep.testing.catalog import MemoryCatalog
from radkeep.testing.disk import Moment, RecordingDisk, cuts
from radkeep.testing.records import ORGANIZATION, FixedClock, describe, judge_by, send

IMAGES = int(os.environ.get("RADKEEP_IMAGES", "1"))
SEED = int(os.environ.get("RADKEEP_SEED", "1"))
VOLUMES, KEYRING, MIRROR = Path("/volumes"), Path("/keyring"), Path("/mirror")
LIMITS = Limits(volume=200_000, step=50_000, buffers=4 << 20)


class HistoricCatalog(MemoryCatalog):
    """Keeps a copy of itself after every change, with the disk's time."""

    def __init__(self, disk: RecordingDisk) -> None:
        super().__init__()
        self.disk = disk
        self.history: list[tuple[int, MemoryCatalog]] = [(0, MemoryCatalog())]

    def commit(
        self,
        volume: str,
        position: int,
        arrivals: Sequence[Arrival],
        *,
        durable: Callable[[], None] | None = None,
    ) -> Sequence[Verdict | Clash]:
        done = super().commit(volume, position, arrivals, durable=durable)
        self._remember()
        return done

    def judged(
        self, volume: str, position: int, rulings: Sequence[tuple[Arrival, Verdict]]
    ) -> None:
        super().judged(volume, position, rulings)
        self._remember()

    def _remember(self) -> None:
        then = MemoryCatalog()
        then.instances = dict(self.instances)
        then.quarantine = dict(self.quarantine)
        then.positions = dict(self.positions)
        self.history.append((len(self.disk.moments), then))


@dataclass
class Sent:
    """One object and what its sender was told, and when."""

    name: str
    body: bytes
    verdict: Verdict
    step: int  # disk operations that were done before the answer


@dataclass
class Story:
    """A run that was recorded."""

    disk: RecordingDisk
    catalog: HistoricCatalog
    root: bytes
    sent: list[Sent] = field(default_factory=list)


def reading(volumes: VolumeReader) -> Callable[[Placement], bytes]:
    def read(placement: Placement) -> bytes:
        return b"".join(volumes.body(placement, 0, volumes.body_length(placement)))

    return read


def keyring_on(disk: RecordingDisk, root: bytes) -> tuple[KeyringWriter, Keyring]:
    writer = KeyringWriter(KEYRING, MIRROR, disk=disk)
    keyring = Keyring.open(KEYRING, MIRROR, root, disk=disk)
    if keyring.find("organization", ORGANIZATION) is None:
        entry, _ = new_key(
            (ROOT, root), label="organization", organization=ORGANIZATION, clock=FixedClock()
        )
        writer.append([entry])
    return writer, keyring


def writers_on(
    disk: RecordingDisk, root: bytes, catalog: MemoryCatalog, count: int
) -> list[VolumeWriter]:
    keys, keyring = keyring_on(disk, root)

    def append(entries: Sequence[Entry]) -> Future[None]:
        done: Future[None] = Future()
        keys.append(entries)
        done.set_result(None)
        return done

    reader = VolumeReader(VOLUMES, keys=keyring, disk=disk)
    return [
        VolumeWriter(
            VOLUMES,
            keys=KeyPool(keyring, append, clock=FixedClock(), batch=4),
            catalog=catalog,
            judge=judge_by(reading(reader)),
            clock=FixedClock(),
            limits=LIMITS,
            disk=disk,
        )
        for _ in range(count)
    ]


def tell(bodies: Sequence[tuple[str, bytes]], *, at_once: int = 1, processes: int = 1) -> Story:
    disk = RecordingDisk()
    disk.recording = True
    root = secrets.token_bytes(32)
    catalog = HistoricCatalog(disk)
    story = Story(disk, catalog, root)
    writers = writers_on(disk, root, catalog, processes)
    waiting: list[Future[Verdict]] = []
    for number, (name, body) in enumerate(bodies):
        future = send(
            writers[number % processes],
            name,
            body,
            study=Uid(f"1.2.3.{number % 7}"),
            transfer=f"t{number % 3}",
            received=f"2026-01-01T00:00:{number:02}",
        )
        future.add_done_callback(
            lambda done, name=name, body=body: story.sent.append(
                Sent(name, body, done.result(), len(disk.moments))
            )
        )
        waiting.append(future)
        if len(waiting) >= at_once:
            for each in waiting:
                each.result(timeout=10)
            waiting.clear()
    for writer in writers:
        writer.close()
    return story


def scenario(random: Random) -> list[tuple[str, bytes]]:
    """Objects of all sizes, twins, equals and conflicts among them."""
    bodies = []
    for number in range(22):
        size = random.choice([0, 1, 300, 2_000, 40_000, 65_536, 65_537, 70_000])
        bodies.append((f"1.2.3.{number}", random.randbytes(size)))
    bodies[3] = ("1.2.3.3", b"abc" * 300)
    bodies.insert(8, ("1.2.3.3", b"abc" * 300))  # the same again
    bodies.insert(9, ("1.2.3.3", b"ABC" * 300))  # equal, other bytes
    bodies.insert(12, ("1.2.3.3", b"xyz" * 300))  # a conflict
    bodies.insert(13, ("1.2.3.3", b"xyz" * 300))
    return bodies


def check(image: dict[Path, bytes], story: Story, moment: Moment, older: MemoryCatalog) -> Recovery:
    """Recover ``image`` and compare with what senders were told until ``moment``."""
    disk = RecordingDisk(image)
    catalog = older.copy()
    _, keyring = keyring_on(disk, story.root)
    reader = VolumeReader(VOLUMES, keys=keyring, disk=disk)
    read = reading(reader)

    def run() -> Recovery:
        return recover(
            VOLUMES,
            keys=keyring,
            catalog=catalog,
            positions=dict(catalog.positions),
            describe=describe,
            judge=judge_by(read),
            clock=FixedClock(),
            disk=disk,
        )

    result = run()
    damage = [each for each in result.findings if each.kind is FindingKind.DAMAGE]
    assert not damage, damage
    assert not list(verify(VOLUMES, keys=keyring, full=True, disk=disk))
    known = {sent.body for sent in story.sent}
    for arrival in [*catalog.instances.values(), *catalog.quarantine.values()]:
        assert read(arrival.placement) in known  # none half there
    quarantined = [read(each.placement) for each in catalog.quarantine.values()]
    for sent in story.sent:
        if sent.step > moment.step + 1:
            continue
        there = catalog.instances.get((ORGANIZATION, sent.name))
        assert there is not None, f"{sent.name} was acknowledged and is missing"
        if sent.verdict is Verdict.STORED:
            assert read(there.placement) == sent.body
        elif sent.verdict is Verdict.CONFLICT:
            assert read(there.placement) != sent.body
            assert sent.body in quarantined
    before = (dict(catalog.instances), dict(catalog.quarantine))
    again = run()
    assert not again.findings
    assert (again.replayed, again.live, again.sealed) == (0, [], [])
    assert before == (catalog.instances, catalog.quarantine)
    return result


def images(story: Story, random: Random) -> Iterator[tuple[dict[Path, bytes], Moment]]:
    for moment in story.disk.moments:
        every = list(cuts(moment, random.randrange))
        for image in random.sample(every, min(IMAGES, len(every))):
            yield image, moment


def catalogs(story: Story, moment: Moment, random: Random) -> list[MemoryCatalog]:
    """No catalog, and one from before the cut: commits are not synced."""
    past = [then for step, then in story.catalog.history if step <= moment.step + 1]
    return [MemoryCatalog(), random.choice(past)]


@pytest.mark.parametrize(("at_once", "processes"), [(1, 1), (5, 1), (1, 2), (1, 3)])
def test_no_cut_loses_an_acknowledged_object(at_once: int, processes: int) -> None:
    random = Random(SEED + at_once)
    story = tell(scenario(random), at_once=at_once, processes=processes)
    verdicts = [sent.verdict for sent in story.sent]
    assert verdicts.count(Verdict.CONFLICT) == 2
    assert verdicts.count(Verdict.SAME) == 2
    for image, moment in images(story, random):
        for catalog in catalogs(story, moment, random):
            check(image, story, moment, catalog)


def test_no_cut_loses_a_large_object() -> None:
    random = Random(SEED)
    large = random.randbytes(2_500_000)
    story = tell([("1.2.3.1", b"a" * 99), ("1.2.3.2", large), ("1.2.3.3", b"c")])
    moments = story.disk.moments
    story.disk.moments = moments[:: max(1, len(moments) // 30)]
    for image, moment in images(story, random):
        for catalog in catalogs(story, moment, random):
            check(image, story, moment, catalog)
