# SPDX-License-Identifier: Apache-2.0
"""A volume of an earlier process, as it lies on the disk: its records and what is wrong with it.

Invariant: looking changes nothing. Only ``end`` and what is before it is durable for certain.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from radkeep.archive.disk import Disk, File
from radkeep.archive.findings import Finding, FindingKind
from radkeep.archive.format import (
    HEADER,
    NAME,
    START,
    SUFFIX,
    Entry,
    Group,
    Indexed,
    Seal,
    index_length,
    parse_header,
    parse_index,
    parse_start,
)
from radkeep.archive.reader import Keys, Opened, open_record
from radkeep.archive.walk import Gap, groups_backward, last_end, read_seal, salvage
from radkeep.domain.errors import IntegrityError
from radkeep.domain.placement import Placement


@dataclass(frozen=True, slots=True)
class Span:
    """Records that became durable together; of a sealed volume, all of them."""

    end: int
    records: tuple[Indexed, ...]
    salvaged: bool = False  # found in damaged bytes, by their looks


@dataclass(slots=True)
class Found:
    """A volume that was looked at."""

    path: Path
    file: File
    seal: Seal | None
    end: int  # behind the last group
    ours: bool  # unsealed, locked, open for writing
    position: int = 0  # what the catalog has; behind it nothing need have been acknowledged
    created: int = 0  # microseconds since 1970; 0 when the header is damaged
    findings: list[Finding] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the volume's name."""
        return self.path.name.removesuffix(SUFFIX)

    @property
    def id(self) -> bytes:
        """Return the volume's id."""
        return bytes.fromhex(self.name)

    def spans(self) -> list[Span]:
        """Return the records in file order; notes gaps and unreadable markers as findings."""
        if self.seal is not None:
            data = self.file.read(self.end, index_length(self.seal.records))
            try:
                return [Span(self.end, tuple(parse_index(data, self.seal)))]
            except IntegrityError as error:  # the groups still say what there is
                self.note(self.end, FindingKind.DAMAGE, str(error))
        found = self.groups()
        tail = Gap(self.end, self.file.size()) if self.ours else Gap(0, 0)
        records = tuple(self._records(salvage(self.file, tail), FindingKind.TORN))
        return [*found, Span(tail.end, records, salvaged=True)] if records else found

    def groups(self) -> list[Span]:
        """Return the groups in file order, whatever an index says; notes gaps as findings."""
        return [self._span(each) for each in groups_backward(self.file, self.id, self.end)][::-1]

    def _span(self, group: Group | Gap) -> Span:
        if isinstance(group, Group):
            return Span(group.end, tuple(self._records(group.entries, self.kind_of(group.end))))
        length = group.end - group.start
        self.note(group.start, FindingKind.DAMAGE, f"{length} bytes hold no valid group")
        records = self._records(salvage(self.file, group), FindingKind.DAMAGE)
        return Span(group.end, tuple(records), salvaged=True)

    def kind_of(self, end: int) -> FindingKind:
        """Return what it is when a record of the group that ends at ``end`` is not whole."""
        torn = self.ours and end >= self.end > self.position
        return FindingKind.INCOMPLETE if torn else FindingKind.DAMAGE

    def open(self, record: Indexed, keys: Keys) -> Opened:
        """Open one record.

        Raises:
            IntegrityError: it is damaged.
            KeyMissingError: its study was erased.
        """
        return open_record(self.file, record.offset, record.length, record.key_id, keys)

    def placement(self, record: Indexed) -> Placement:
        """Return where ``record`` is, as the catalog knows it."""
        return Placement(
            volume=self.name, offset=record.offset, length=record.length, key_id=record.key_id
        )

    def note(self, offset: int, kind: FindingKind, detail: str) -> None:
        """Add a finding, once."""
        finding = Finding(self.name, offset, kind, detail)
        if finding not in self.findings:
            self.findings.append(finding)

    def _records(self, entries: Iterable[Entry], kind: FindingKind) -> Iterator[Indexed]:
        for entry in entries:
            try:
                start = parse_start(self.file.read(entry.offset, START))
            except IntegrityError as error:
                self.note(entry.offset, kind, str(error))
            else:
                yield Indexed(start.kind, entry.offset, entry.length, start.key_id, entry.digest)


def volume_names(disk: Disk, directory: Path) -> list[str]:
    """Return the names of all volumes in ``directory``, in no meaningful order."""
    names = (name.removesuffix(SUFFIX) for name in disk.names(directory) if name.endswith(SUFFIX))
    return [name for name in names if NAME.fullmatch(name)]


def find(disk: Disk, directory: Path, name: str, *, position: int = 0) -> Found | None:
    """Look at volume ``name``, which the catalog has up to ``position``; None when it is live.

    An unsealed volume is locked and open for writing: it is the caller's now.
    """
    path = directory / (name + SUFFIX)
    try:
        file = disk.open(path)
        if not file.protected:
            file = disk.open(path, writable=True)
            if not file.lock():
                return None
    except FileNotFoundError:  # its writer removed it: it was empty
        return None
    except IntegrityError:  # its writer has sealed it in the meantime
        file = disk.open(path)
    return looked_at(path, file, ours=not file.protected, position=position)


def looked_at(path: Path, file: File, *, ours: bool, position: int = 0) -> Found:
    """Return what can be seen of a volume at its two ends."""
    volume = bytes.fromhex(path.name.removesuffix(SUFFIX))
    protected = file.protected  # asked once: its writer may seal it at this moment
    # Who only looks believes a seal also where a copy has lost the protection.
    seal = read_seal(file, volume) if protected or not ours else None
    end = seal.index_offset if seal is not None else last_end(file, volume, file.size())
    found = Found(path, file, seal, end, ours=ours, position=position)
    if protected and seal is None:  # protected only after its seal was durable
        found.note(file.size(), FindingKind.DAMAGE, "the seal is damaged")
    try:
        _, found.created = parse_header(file.read(0, HEADER), volume)
    except IntegrityError as error:
        found.note(0, FindingKind.DAMAGE, str(error))
    return found
