# SPDX-License-Identifier: Apache-2.0
"""Reading the audit log, also while another process writes it.

Invariant: only whole groups are read, and each entry is checked against its record before it is
decoded. An entry that was read just before a crash may be gone after it, if nobody had been
told yet that it was durable.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec

from radkeep.audit.checkpoint import origin
from radkeep.audit.erasure import Erasures
from radkeep.audit.events import Event
from radkeep.audit.records import (
    RECORD,
    Payload,
    Record,
    Segment,
    decode_payload,
    payload_context,
    read_payload,
    segments,
    whole_size,
)
from radkeep.audit.recovery import read_checkpoint
from radkeep.crypto.seal import unseal
from radkeep.crypto.sign import VerifyKey
from radkeep.domain.errors import IntegrityError

_BLOCK: Final = 1024  # records read at once


class LogEntry(NamedTuple):
    """One entry of the log."""

    number: int  # its index
    process: str
    event: Event


class LogReader:
    """Reads the log in one directory. Thread-safe: it keeps nothing between calls."""

    def __init__(self, directory: Path, payload_key: bytes, public_key: VerifyKey) -> None:
        self._directory = directory
        self._payload_key = payload_key
        self._public_key = public_key
        self._name = origin(public_key)

    def size(self) -> int:
        """Return the number of entries in whole groups.

        Raises:
            IntegrityError: the checkpoint is not the log's.
        """
        checkpoint = read_checkpoint(self._directory, self._public_key)
        return whole_size(self._directory, checkpoint.size if checkpoint else 0)

    def read(self, start: int = 0) -> Iterator[LogEntry]:
        """Return the entries from index ``start`` up to what is whole now; erased ones are skipped.

        Raises:
            IntegrityError: an entry is damaged or missing.
        """
        for payload in self.payloads(start):
            yield LogEntry(payload.index, payload.process, payload.event)

    def tail(self, count: int) -> list[LogEntry]:
        """Return the last ``count`` entries, oldest first; safe while the log is written.

        Raises:
            IntegrityError: an entry is damaged or missing.
        """
        return list(self.read(max(self.size() - count, 0)))

    def payloads(self, start: int = 0) -> Iterator[Payload]:
        """Return entries like ``read``, with boot, tick and time of receipt.

        Raises:
            IntegrityError: an entry is damaged or missing.
        """
        stop = self.size()
        erased = Erasures.read(self._directory, self._public_key)
        found = list(segments(self._directory))
        for position, segment in enumerate(found):
            end = found[position + 1].first if position + 1 < len(found) else stop
            if end > start:
                yield from self._segment(segment, max(start, segment.first), min(end, stop), erased)

    def _segment(
        self, segment: Segment, start: int, stop: int, erased: Erasures
    ) -> Iterator[Payload]:
        with closing(segment.tree.open("rb")) as tree, closing(segment.payloads.open("rb")) as file:
            for block in range(start, stop, _BLOCK):
                raw = os.pread(
                    tree.fileno(),
                    min(_BLOCK, stop - block) * RECORD,
                    segment.record_offset(block),
                )
                for index in range(block, min(block + _BLOCK, stop)):
                    record = raw[(index - block) * RECORD : (index - block + 1) * RECORD]
                    if len(record) < RECORD:
                        raise IntegrityError(f"entry {index} of the audit log is missing")
                    if index not in erased:
                        yield self._open(index, Record.decode(record), file)

    def _open(self, index: int, record: Record, file: BinaryIO) -> Payload:
        sealed = read_payload(file.fileno(), record)
        if not record.proves(sealed):
            raise IntegrityError(f"entry {index} of the audit log is damaged")
        raw = unseal(self._payload_key, payload_context(self._name, index), sealed)
        try:
            return decode_payload(raw)
        except msgspec.DecodeError:
            raise IntegrityError(f"entry {index} of the audit log is malformed") from None
