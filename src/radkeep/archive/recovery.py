# SPDX-License-Identifier: Apache-2.0
"""What a process does with the volumes of its predecessors before it accepts, and all of a rebuild.

Invariant: afterwards the catalog has every record that was acknowledged and none that is not
whole; rulings are repeated as they were made, in whatever order the volumes are read. Nothing
whole is ever cut.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from radkeep.archive.disk import Disk, SystemDisk
from radkeep.archive.findings import Finding, FindingKind
from radkeep.archive.format import (
    HEADER,
    HOLE,
    MAX_GROUP_RECORDS,
    UNBORN,
    Group,
    Ruling,
    align,
    pack_indexed,
    pack_marker,
    pack_ruling,
)
from radkeep.archive.found import Found, find, volume_names
from radkeep.archive.groups import Judge
from radkeep.archive.reader import Keys
from radkeep.archive.record import ruling_record
from radkeep.archive.replay import Describe, Recovery, Replay, Rulings
from radkeep.archive.sealing import seal
from radkeep.archive.volume import OpenVolume, Sealed
from radkeep.archive.walk import read_group
from radkeep.domain.clock import Clock
from radkeep.domain.errors import IntegrityError
from radkeep.ingest.ports import Arrival, CatalogWriter

__all__ = ["Recovery", "recover"]

_GROUP: Final = 64  # rulings in one group
_PIECE: Final = 1 << 20
_Part = tuple[int, bytes]  # of a group marker: length and digest


def recover(
    directory: Path,
    *,
    keys: Keys,
    catalog: CatalogWriter,
    positions: Mapping[str, int],
    describe: Describe,
    judge: Judge,
    clock: Clock,
    disk: Disk | None = None,
) -> Recovery:
    """Replay what the catalog lacks, cut torn tails, seal what nobody writes any more.

    Volumes that other processes are writing are left alone.

    Args:
        directory: where volumes lie.
        keys: the keyring.
        catalog: gets what it does not have.
        positions: how far it has each volume; empty for a rebuild.
        describe: makes an arrival of a record's head.
        judge: rules on clashes that nobody ruled on before the cut.
        clock: dates seals.
        disk: for tests.

    Raises:
        UnavailableError: the catalog cannot be written.
        ArchiveFullError: no room for rulings or seals.
        IntegrityError: the disk refused.
    """
    work = _Recoverer(directory, positions, keys, catalog, clock, disk or SystemDisk())
    rulings = work.look()
    replays = []
    for name in work.names:
        replay = Replay(
            work.found(name),
            keys=keys,
            catalog=catalog,
            describe=describe,
            judge=judge,
            rulings=rulings,
            result=work.result,
        )
        replay.run()
        replays.append(replay)
    unsettled = [(each, replay) for replay in replays for each in replay.unsettled]
    for arrival, replay in sorted(unsettled, key=lambda pair: pair[0].received):
        replay.settle(arrival)
    for replay in replays:
        for arrival in replay.deferred:
            catalog.commit(replay.found.name, replay.position, [arrival])
    for replay in replays:
        if replay.found.ours:
            work.mend(replay)
        catalog.commit(replay.found.name, max(replay.found.end, replay.position), [])
        if replay.found.ours:
            work.close(replay)
    return work.result


class _Recoverer:
    """The volumes of one directory while they are recovered."""

    def __init__(
        self,
        directory: Path,
        positions: Mapping[str, int],
        keys: Keys,
        catalog: CatalogWriter,
        clock: Clock,
        disk: Disk,
    ) -> None:
        self.result = Recovery()
        self.names: list[str] = []  # of volumes to replay
        self._ours: dict[str, Found] = {}  # unsealed: they stay open, because locked
        self._directory = directory
        self._positions = positions
        self._keys = keys
        self._catalog = catalog
        self._clock = clock
        self._disk = disk

    def look(self) -> Rulings:
        """Look at all volumes, and return what was ruled in those that matter."""
        self._remove_unborn()
        done: list[tuple[str, int]] = []
        for name in volume_names(self._disk, self._directory):
            found = self._find(name)
            if found is None:
                self.result.live.append(name)
            elif found.seal is not None and found.position >= found.end:
                done.append((name, found.seal.sealed))
            else:
                self.names.append(name)
                if found.ours:
                    self._ours[name] = found
        # A record that was refused may be withdrawn in a volume that was sealed later.
        oldest = min((found.created for found in self._ours.values()), default=None)
        later = [name for name, sealed in done if oldest is not None and sealed >= oldest]
        rulings = Rulings(self._keys)
        for name in [*self.names, *later]:
            found = self.found(name)
            rulings.collect(found)
            self.result.report(found)
        return rulings

    def found(self, name: str) -> Found:
        """Return a volume that was looked at."""
        found = self._ours.get(name) or self._find(name)
        if found is None:
            raise IntegrityError("a sealed volume is gone")
        return found

    def _find(self, name: str) -> Found | None:
        position = self._positions.get(name, 0)
        return find(self._disk, self._directory, name, position=position)

    def mend(self, replay: Replay) -> None:
        """Make a group of what a cut left whole, so that it is not taken for damage later on.

        The catalog must not have the new position before: a cut in here leaves a torn tail again.
        """
        found, start, parts = replay.found, replay.found.end, _loose(replay)
        if not parts and found.end > max(HEADER, found.position):
            group = read_group(found.file, found.id, found.end)
            if group is not None:
                start, parts = group.start, _torn(replay, group)
        if not parts or len(parts) > MAX_GROUP_RECORDS or replay.position > found.end:
            return
        stop = start + sum(length for length, _ in parts)
        marker = pack_marker(found.id, start, parts)
        self._cut(found, max(found.end, stop))
        found.file.write([marker], stop)
        found.file.sync()
        found.end = replay.end = stop + len(marker)

    def close(self, replay: Replay) -> None:
        """Cut the torn tail of a volume, write the rulings made now, seal it."""
        found, end = replay.found, align(replay.end)
        if end == HEADER and found.created and not replay.position:
            self._disk.unlink(found.path)
            found.file.close()
            return
        if replay.position > end:
            found.file.close()  # damaged at its end: leave every byte as it is
            return
        self._cut(found, end)
        index = b"".join(pack_indexed(record) for record in replay.whole)
        volume = OpenVolume(found.file, found.path, position=end, step=0, index=index)
        for start in range(0, len(replay.made), _GROUP):
            made = replay.made[start : start + _GROUP]
            volume.append([self._ruling(found, *each) for each in made])
        self._catalog.commit(found.name, volume.position, [])
        self.result.sealed.append(seal(volume, self._clock))

    def _cut(self, found: Found, end: int) -> None:
        size = found.file.size()
        if size <= end:
            found.file.truncate(end)  # the last record was whole without its filler
            return
        at = end
        while at < size:
            if any(found.file.read(at, _PIECE)):
                detail = f"{size - end} bytes of an unfinished group were cut"
                self.result.findings.append(Finding(found.name, end, FindingKind.TORN, detail))
                break
            at += _PIECE
        found.file.truncate(end)

    def _ruling(self, found: Found, arrival: Arrival, ruling: Ruling) -> Sealed:
        key_id = arrival.placement.key_id
        body = pack_ruling(found.id, arrival.placement.offset, ruling)
        return ruling_record(key_id, self._keys.key(key_id), arrival.organization, body)

    def _remove_unborn(self) -> None:
        for name in self._disk.names(self._directory):
            if name.endswith(UNBORN):
                file = self._disk.open(self._directory / name, writable=True)
                if file.lock():
                    self._disk.unlink(self._directory / name)
                file.close()


def _loose(replay: Replay) -> list[_Part]:
    """Return what a marker for the whole records behind the last group must hold."""
    parts: list[_Part] = []
    at = replay.found.end
    for record in replay.whole:
        if record.offset >= replay.found.end:
            if record.offset > at:
                parts.append((record.offset - at, HOLE))
            parts.append((record.length, record.digest))
            at = record.offset + record.length
    return parts


def _torn(replay: Replay, group: Group) -> list[_Part]:
    """Return what the marker of the last group must hold; nothing when it is right as it is."""
    whole = {record.offset for record in replay.whole}
    if all(entry.offset in whole for entry in group.entries):
        return []
    return [
        (entry.length, entry.digest if entry.offset in whole else HOLE) for entry in group.entries
    ]
