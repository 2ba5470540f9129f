# SPDX-License-Identifier: Apache-2.0
"""Checking a log with its public key alone, in one pass and in bounded memory.

Invariant: a log that is reported intact holds every entry that its checkpoint signs, at its
place, unchanged or marked as erased; and if a checkpoint was remembered, the log grew from it.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final

from radkeep.audit.checkpoint import Checkpoint, origin, parse_checkpoint
from radkeep.audit.erasure import Erasures
from radkeep.audit.records import (
    HEADER,
    HISTORY,
    RECORD,
    Record,
    Segment,
    read_payload,
    segments,
    whole_size,
)
from radkeep.audit.recovery import read_checkpoint
from radkeep.audit.tree import CompactRange, leaf_hash
from radkeep.crypto.sign import VerifyKey
from radkeep.domain.errors import IntegrityError

MAX_FAULTS: Final = 100  # listed; the first one is always among them
_BLOCK: Final = 1024  # records read at once


class Reason(StrEnum):
    """What is wrong with a log."""

    CHANGED = "changed"  # record and payload do not fit together
    MISSING = "missing"  # the payload is gone and no marker says that it was erased
    DROPPED = "dropped"  # an entry that stood here is gone
    SWAPPED = "swapped"  # another entry stands here, this one further on
    INSERTED = "inserted"  # an entry stands here that belongs elsewhere or nowhere
    TRUNCATED = "truncated"  # the checkpoint signs more entries than there are
    REWRITTEN = "rewritten"  # all fits together, but the signed root is another one
    ROLLED_BACK = "rolled back"  # a remembered checkpoint has more entries, or another root
    FORGED = "forged"  # the log's key did not sign checkpoint or marker
    UNSIGNED = "unsigned"  # there is no checkpoint
    NOT_A_LOG = "not a log"  # a file starts with something else


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong."""

    index: int  # of the first entry concerned
    reason: Reason
    end: int = 0  # for REWRITTEN and ROLLED_BACK: the change lies before this index

    @property
    def text(self) -> str:
        """The fault in words."""
        until = f" to {self.end - 1}" if self.end > self.index + 1 else ""
        return f"entry {self.index}{until}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found."""

    size: int  # entries in whole groups
    checkpoint: Checkpoint | None
    uncovered: int  # entries behind the checkpoint: their loss would not show
    erased: int  # payloads erased on purpose
    faults: tuple[Fault, ...]  # by index

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def require(self) -> None:
        """Stop unless the log is intact.

        Raises:
            IntegrityError: it is not; the message names the first fault.
        """
        if self.faults:
            raise IntegrityError(f"the audit log is not intact: {self.faults[0].text}")


def verify(
    directory: Path, public_key: VerifyKey, *, remembered: Checkpoint | None = None
) -> Report:
    """Check the log in ``directory``; it may be written meanwhile.

    Args:
        directory: of the log.
        public_key: of the log.
        remembered: a checkpoint kept elsewhere. Without one, whoever has the signing key can
            replace the whole log unnoticed.
    """
    return _Check(directory, public_key, remembered).run()


@dataclass(slots=True)
class _Check:
    directory: Path
    key: VerifyKey
    remembered: Checkpoint | None
    faults: list[Fault] = field(default_factory=list)
    tree: CompactRange = field(default_factory=CompactRange)
    roots: dict[int, list[bytes]] = field(default_factory=dict)  # signed, by size
    good: int = 0  # size of the last signed root that matched
    diverged: Fault | None = None
    erased: int = 0

    def run(self) -> Report:
        checkpoint = self._checkpoint()
        markers = self._markers()
        signed = checkpoint.size if checkpoint else 0
        for signature in (checkpoint, self.remembered, *self._history()):
            if signature is not None:
                self.roots.setdefault(signature.size, []).append(signature.root)
        size = whole_size(self.directory, signed) if self._complete() else signed
        self._compare()
        for segment in segments(self.directory):
            if segment.first < size or (segment.first == 0 and size == 0):
                self._segment(segment, size, markers)
        self._conclude(signed)
        count = self.tree.size
        return Report(
            size=count,
            checkpoint=checkpoint,
            uncovered=max(count - signed, 0),
            erased=self.erased,
            faults=tuple(sorted(self.faults)),
        )

    def _complete(self) -> bool:
        return all(segment.payloads.exists() for segment in segments(self.directory))

    def _checkpoint(self) -> Checkpoint | None:
        try:
            checkpoint = read_checkpoint(self.directory, self.key)
        except IntegrityError:
            self._fault(Fault(0, Reason.FORGED))
            return None
        if checkpoint is None:
            self._fault(Fault(0, Reason.UNSIGNED))
        return checkpoint

    def _markers(self) -> Erasures:
        try:
            return Erasures.read(self.directory, self.key)
        except IntegrityError:
            self._fault(Fault(0, Reason.FORGED))
            return Erasures()

    def _history(self) -> Iterator[Checkpoint]:
        """Return older checkpoints. They only narrow a fault down, so a damaged one is no fault."""
        path = self.directory / HISTORY
        if not path.exists():
            return
        title = origin(self.key) + "\n"
        for note in path.read_text(encoding="utf-8", errors="replace").split(title)[1:]:
            try:
                yield parse_checkpoint(title + note, self.key)
            except IntegrityError:
                continue

    def _segment(self, segment: Segment, size: int, markers: Erasures) -> None:
        if segment.first != self.tree.size:
            self._fault(Fault(min(self.tree.size, segment.first), Reason.DROPPED))
        with ExitStack() as stack:
            tree = stack.enter_context(segment.tree.open("rb"))
            payloads: BinaryIO | None = None
            if segment.payloads.exists():
                payloads = stack.enter_context(segment.payloads.open("rb"))
            header = tree.read(HEADER), payloads.read(HEADER) if payloads else b""
            if header[0] != segment.tree_header or (
                payloads and header[1] != segment.payloads_header
            ):
                self._fault(Fault(segment.first, Reason.NOT_A_LOG))
            place = _Places()
            index = segment.first
            while index < size and (raw := tree.read(min(_BLOCK, size - index) * RECORD)):
                for start in range(0, len(raw) - RECORD + 1, RECORD):
                    entry = raw[start : start + RECORD]
                    record = Record.decode(entry)
                    self._entry(index, record, payloads, markers)
                    place.check(index, record)
                    self.tree.append(leaf_hash(entry))
                    if self.tree.size in self.roots:
                        self._compare()
                    index += 1
            for fault in place.faults:
                self._fault(fault)

    def _entry(
        self, index: int, record: Record, payloads: BinaryIO | None, markers: Erasures
    ) -> None:
        if index in markers:
            self.erased += 1
            return
        sealed = read_payload(payloads.fileno(), record) if payloads else b""
        if record.proves(sealed):
            return
        gone = len(sealed) < record.length or not any(sealed)
        self._fault(Fault(index, Reason.MISSING if gone else Reason.CHANGED))

    def _compare(self) -> None:
        """Compare the tree with all that is signed of its size."""
        size, root = self.tree.size, self.tree.root()
        for signed in self.roots.get(size, ()):
            if signed == root:
                self.good = size
            elif self.diverged is None:
                self.diverged = Fault(self.good, Reason.REWRITTEN, size)

    def _conclude(self, signed: int) -> None:
        count = self.tree.size
        if count < signed:
            self._fault(Fault(count, Reason.TRUNCATED))
        remembered = self.remembered
        if remembered and remembered.size > count:
            self._fault(Fault(count, Reason.ROLLED_BACK, remembered.size))
        if (found := self.diverged) is None:
            return
        if remembered and remembered.size == found.end and signed > found.end:
            found = Fault(found.index, Reason.ROLLED_BACK, found.end)
        explained = any(found.index <= fault.index < found.end for fault in self.faults)
        if not explained:
            self._fault(found)

    def _fault(self, fault: Fault) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)


@dataclass(slots=True)
class _Places:
    """Checks that payloads follow each other; tells a dropped entry from a swapped one."""

    end: int = HEADER
    faults: list[Fault] = field(default_factory=list)
    gaps: dict[int, int] = field(default_factory=dict)  # offset of the gap to place in faults

    def check(self, index: int, record: Record) -> None:
        """Take the record that stands at ``index``."""
        gap = self.gaps.pop(record.start, None)
        if gap is not None:
            self.faults[gap] = Fault(self.faults[gap].index, Reason.SWAPPED)
        if record.start != self.end and len(self.faults) < MAX_FAULTS:
            if record.start > self.end:
                self.gaps[self.end] = len(self.faults)
            reason = Reason.DROPPED if record.start > self.end else Reason.INSERTED
            self.faults.append(Fault(index, reason))
        self.end = record.start + record.length
