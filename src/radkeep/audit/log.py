# SPDX-License-Identifier: Apache-2.0
"""The audit log's one writer (docs/formats/audit-log.md).

Invariant: ``append`` returns indices only after the whole group is durable: payloads first, then
the records that name them. After a sync has failed nothing is ever appended by this writer again.
"""

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from radkeep.audit.checkpoint import Checkpoint, origin, sign_checkpoint
from radkeep.audit.disk import Disk
from radkeep.audit.events import Event
from radkeep.audit.reader import LogEntry, LogReader
from radkeep.audit.records import (
    CHECKPOINT,
    HEADER,
    HISTORY,
    RANGE,
    Payload,
    Record,
    Segment,
    encode_payload,
    payload_context,
)
from radkeep.audit.recovery import State, create_segment, open_log
from radkeep.audit.tree import leaf_hash
from radkeep.crypto.seal import seal
from radkeep.crypto.sign import SigningKey
from radkeep.domain.clock import Clock
from radkeep.domain.errors import AuditUnavailableError

__all__ = ["LogEntry", "LogReader", "LogWriter"]

SEGMENT: Final = 65_536  # entries, after which the next group starts a new pair of files
CHECKPOINT_INTERVAL: Final = 1_000_000_000  # nanoseconds between two checkpoints, at least
HISTORY_INTERVAL: Final = 256  # entries between two checkpoints that are kept for ever, at least
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_log = structlog.get_logger()


class LogWriter:
    """Appends to the log in one directory. Thread-safe; one writer a directory."""

    def __init__(
        self,
        directory: Path,
        *,
        signing: SigningKey,
        payload_key: bytes,
        clock: Clock,
        disk: Disk | None = None,
        monotonic: Callable[[], int] = time.monotonic_ns,
        segment: int = SEGMENT,
    ) -> None:
        """Open the log, a new one if there is none, and cut the torn tail of a crash.

        Args:
            directory: made if missing.
            signing: signs checkpoints; its public key names the log.
            payload_key: 32 bytes, seals what entries say.
            clock: for the time of receipt.
            disk: how files are written.
            monotonic: nanoseconds since some start.
            segment: entries in one pair of files.

        Raises:
            IntegrityError: entries are damaged or missing; the log is left as it is.
            AuditUnavailableError: the disk fails.
        """
        self._directory, self._signing, self._payload_key = directory, signing, payload_key
        self._clock, self._disk, self._monotonic = clock, disk or Disk(), monotonic
        self._segment_size = segment
        self._lock = threading.Lock()
        self._closed = False
        self._name = origin(signing.public)
        self._boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
        try:
            self._state = open_log(directory, self._disk, signing)
        except OSError as error:
            raise AuditUnavailableError("the audit log cannot be opened") from error
        self._signed_at = monotonic()
        self._history = self._state.checkpoint.size
        if self._state.cut:
            _log.warning("audit.torn-tail-cut", entries=self._state.cut)

    @property
    def size(self) -> int:
        """Entries in the log; all are durable."""
        return self._state.tree.size

    @property
    def usable(self) -> bool:
        """Tell whether a later call may succeed: not after a failed sync."""
        return not self._closed

    @property
    def cut(self) -> int:
        """Entries of an unfinished group that a crash had left and that opening cut off."""
        return self._state.cut

    def append(self, entries: Sequence[tuple[str, Event]]) -> tuple[int, ...]:
        """Append ``entries``, each with the name of its process, as one group.

        Returns:
            Their indices, once all are durable. After a crash either all or none are there.

        Raises:
            AuditUnavailableError: none is appended. After a full disk a later call may succeed,
                after a failed sync none will.
        """
        with self._lock:
            state = self._usable()
            if not entries:
                return ()
            if state.tree.size - state.segment.first >= self._segment_size:
                state = self._rotate()
            payloads = self._sealed(entries)
            records, end = [], state.payload_end
            for remaining, payload in zip(range(len(payloads) - 1, -1, -1), payloads, strict=True):
                records.append(Record.of(end, remaining, payload).encode())
                end += len(payload)
            first = state.tree.size
            self._store(b"".join(payloads), b"".join(records))
            for record in records:
                state.tree.append(leaf_hash(record))
            state.payload_end = end
            if self._monotonic() - self._signed_at >= CHECKPOINT_INTERVAL:
                # The group is durable whatever becomes of this, so its indices stand.
                with contextlib.suppress(AuditUnavailableError):
                    self._sign()
            return tuple(range(first, first + len(records)))

    def checkpoint(self) -> Checkpoint:
        """Sign the log as it is now, unless nothing is new; return its newest checkpoint.

        To be called each second or so, since ``append`` signs only when something comes.

        Raises:
            AuditUnavailableError: the disk is full, or fails: then the writer is closed.
        """
        with self._lock:
            self._usable()
            return self._sign()

    def close(self) -> None:
        """Sign the last checkpoint and close the files. A second call does nothing.

        Raises:
            AuditUnavailableError: the checkpoint cannot be stored.
        """
        with self._lock:
            if not self._closed:
                try:
                    self._sign(last=True)
                finally:
                    self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _usable(self) -> State:
        if self._closed:
            raise AuditUnavailableError("the audit log is closed")
        return self._state

    def _end(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._state.tree_file)
            os.close(self._state.payload_file)

    def _sealed(self, entries: Sequence[tuple[str, Event]]) -> list[bytes]:
        now, tick = self._clock.now(), self._monotonic()
        sealed = []
        for index, (process, event) in enumerate(entries, self._state.tree.size):
            payload = Payload(
                index=index,
                process=process,
                boot=self._boot,
                tick=tick,
                time=now,
                checkpoint=self._state.checkpoint.size,
                event=event,
            )
            context = payload_context(self._name, index)
            sealed.append(seal(self._payload_key, context, encode_payload(payload)))
        return sealed

    def _store(self, payloads: bytes, records: bytes) -> None:
        """Make a group durable, or leave the files as they were."""
        state = self._state
        tree_end = state.segment.record_offset(state.tree.size)
        for file, data, offset in (
            (state.payload_file, payloads, state.payload_end),
            (state.tree_file, records, tree_end),
        ):
            try:
                self._disk.write(file, data, offset)
            except OSError as error:
                self._undo(tree_end)
                raise AuditUnavailableError("the audit log cannot be written") from error
            self._sync(file)

    def _undo(self, tree_end: int) -> None:
        try:
            self._disk.truncate(self._state.tree_file, tree_end)
            self._disk.truncate(self._state.payload_file, self._state.payload_end)
        except OSError as error:
            self._end()
            raise AuditUnavailableError("the audit log cannot be written") from error

    def _sync(self, file: int) -> None:
        try:
            self._disk.sync(file)
        except OSError as error:
            # A second sync would succeed without having written anything, so there is none.
            self._end()
            _log.critical("audit.sync-failed")
            raise AuditUnavailableError("the audit log cannot be made durable") from error

    def _rotate(self) -> State:
        """Start a new segment; on failure the old one stays as it is."""
        old = self._state
        segment = Segment(self._directory, old.tree.size)
        try:
            create_segment(segment, self._disk)
            tree_file = self._disk.open(segment.tree)
            payload_file = self._disk.open(segment.payloads)
        except OSError as error:
            self._end()  # perhaps a failed sync; opening the log anew sorts it out
            raise AuditUnavailableError("the audit log cannot start a new file") from error
        os.close(old.tree_file)
        os.close(old.payload_file)
        old.segment, old.payload_end = segment, HEADER
        old.tree_file, old.payload_file = tree_file, payload_file
        return old

    def _sign(self, *, last: bool = False) -> Checkpoint:
        state = self._state
        size = state.tree.size
        if size == state.checkpoint.size and not (last and size > self._history):
            return state.checkpoint
        checkpoint = Checkpoint(size, state.tree.root())
        note = sign_checkpoint(self._signing, checkpoint).encode()
        try:
            self._disk.replace(self._directory / CHECKPOINT, note)
            self._disk.replace(self._directory / RANGE, b"".join(state.tree.nodes))
            if last or size - self._history >= HISTORY_INTERVAL:
                self._disk.append(self._directory / HISTORY, note)
                self._history = size
        except OSError as error:
            if error.errno not in _FULL:  # else the old checkpoint stays until there is room
                self._end()
            raise AuditUnavailableError("the audit log cannot store a checkpoint") from error
        state.checkpoint, self._signed_at = checkpoint, self._monotonic()
        return checkpoint
