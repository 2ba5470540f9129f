# SPDX-License-Identifier: Apache-2.0
"""What the writer does when it opens a log: check it against its checkpoint, cut a torn tail.

Invariant: nothing below the last checkpoint is ever cut, and behind it only the one group whose
writing was cut off. The writer makes a group durable before it starts the next, so a damaged
group with another one behind it was acknowledged: that is damage, reported and left alone.
"""

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from radkeep.audit.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from radkeep.audit.disk import Disk
from radkeep.audit.records import (
    CHECKPOINT,
    HEADER,
    RANGE,
    RECORD,
    Record,
    Segment,
    read_payload,
    segments,
)
from radkeep.audit.tree import EMPTY_ROOT, HASH, CompactRange, leaf_hash
from radkeep.crypto.sign import SigningKey, VerifyKey
from radkeep.domain.errors import IntegrityError

_BLOCK: Final = 4096  # records read at once


@dataclass(slots=True)
class State:
    """An open log: where its next entry goes."""

    segment: Segment
    tree_file: int  # descriptor
    payload_file: int  # descriptor
    payload_end: int  # bytes
    tree: CompactRange
    checkpoint: Checkpoint
    cut: int = 0  # entries of a torn tail that were cut at open


def read_checkpoint(directory: Path, key: VerifyKey) -> Checkpoint | None:
    """Return the newest checkpoint of ``directory``, None when there is none.

    Raises:
        IntegrityError: the log's key did not sign it.
    """
    try:
        note = (directory / CHECKPOINT).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    return parse_checkpoint(note, key)


def open_log(directory: Path, disk: Disk, signing: SigningKey) -> State:
    """Return the log in ``directory``, a new one if there is none.

    Raises:
        IntegrityError: entries are damaged or missing.
        OSError: the disk fails.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = list(segments(directory))
    checkpoint = read_checkpoint(directory, signing.public)
    if checkpoint is None:
        if any(_stored(segment) for segment in found):
            raise IntegrityError("the audit log has lost its checkpoint")
        checkpoint = Checkpoint(0, EMPTY_ROOT)
        disk.replace(directory / CHECKPOINT, sign_checkpoint(signing, checkpoint).encode())
    if not found:
        if checkpoint.size:
            raise IntegrityError("the audit log has lost its entries")
        found = [Segment(directory, 0)]
        create_segment(found[0], disk)
    tree = _covered(directory, found, checkpoint)
    return _replay(found, tree, checkpoint, disk)


def create_segment(segment: Segment, disk: Disk) -> None:
    """Make the files of a new segment; that of records comes last and is what counts."""
    segment.payloads.unlink(missing_ok=True)  # left by a crash: no record names what is in it
    for path, header in (
        (segment.payloads, segment.payloads_header),
        (segment.tree, segment.tree_header),
    ):
        descriptor = disk.open(path, create=True)
        try:
            disk.write(descriptor, header, 0)
            disk.sync(descriptor)
        finally:
            os.close(descriptor)
    disk.sync_directory(segment.directory)


def _stored(segment: Segment) -> int:
    """Return the whole records in a segment's file."""
    return max(segment.tree.stat().st_size - HEADER, 0) // RECORD


def _covered(directory: Path, found: list[Segment], checkpoint: Checkpoint) -> CompactRange:
    """Return the tree that ``checkpoint`` signs, from the kept range or else from the records."""
    _check_row(found)
    if found[-1].first + _stored(found[-1]) < checkpoint.size:
        raise IntegrityError("the audit log has lost its last entries")
    try:
        raw = (directory / RANGE).read_bytes()
        nodes = [raw[start : start + HASH] for start in range(0, len(raw), HASH)]
        kept = CompactRange.restore(checkpoint.size, nodes)
    except (FileNotFoundError, IntegrityError):
        kept = CompactRange()
    if kept.size == checkpoint.size and kept.root() == checkpoint.root:
        return kept
    tree = CompactRange()
    for segment in found:
        with segment.tree.open("rb") as file:
            file.seek(HEADER)
            while tree.size < checkpoint.size:
                block = file.read(RECORD * min(_BLOCK, checkpoint.size - tree.size))
                if len(block) < RECORD:
                    break
                for start in range(0, len(block) - RECORD + 1, RECORD):
                    tree.append(leaf_hash(block[start : start + RECORD]))
    if tree.root() != checkpoint.root:
        raise IntegrityError("the audit log does not match its checkpoint")
    return tree


def _check_row(found: list[Segment]) -> None:
    """Check that the segments follow each other without a gap."""
    expected = 0
    for segment in found:
        if segment.first != expected:
            raise IntegrityError("a part of the audit log is missing")
        expected = segment.first + _stored(segment)


def _replay(found: list[Segment], tree: CompactRange, checkpoint: Checkpoint, disk: Disk) -> State:
    """Add what lies behind the checkpoint to ``tree``; leave the last segment open."""
    for segment in found[:-1]:
        if segment.first + _stored(segment) > tree.size:
            with segment.tree.open("rb") as file, segment.payloads.open("rb") as payloads:
                _check_headers(segment, file.fileno(), payloads.fileno())
                scan = _scan(segment, file.fileno(), payloads.fileno(), tree.size)
            if scan.torn:
                raise IntegrityError("an entry of the audit log is damaged")
            _add(tree, scan)
    segment = found[-1]
    if not _stored(segment):  # perhaps cut off while it was created
        segment.tree.unlink()
        create_segment(segment, disk)
    tree_file, payload_file = disk.open(segment.tree), disk.open(segment.payloads)
    try:
        _check_headers(segment, tree_file, payload_file)
        scan = _scan(segment, tree_file, payload_file, tree.size)
        _settle(segment, tree_file, payload_file, scan, disk)
    except BaseException:
        os.close(tree_file)
        os.close(payload_file)
        raise
    _add(tree, scan)
    return State(segment, tree_file, payload_file, scan.end, tree, checkpoint, scan.torn)


@dataclass(slots=True)
class _Scan:
    index: int  # of the first record looked at
    start: int  # offset of its payload
    records: list[Record]  # of whole groups
    end: int  # offset behind their last payload
    torn: int  # records behind them


def _scan(segment: Segment, tree_file: int, payload_file: int, index: int) -> _Scan:
    """Look at all records from ``index`` on.

    Raises:
        IntegrityError: a damaged group has another one behind it.
    """
    start = HEADER
    if index > segment.first:
        before = os.pread(tree_file, RECORD, segment.record_offset(index - 1))
        last = Record.decode(before)
        start = last.start + last.length
    offset = segment.record_offset(index)
    raw = os.pread(tree_file, max(os.fstat(tree_file).st_size - offset, 0), offset)
    count = len(raw) // RECORD
    records = [Record.decode(raw[i * RECORD : (i + 1) * RECORD]) for i in range(count)]
    proven = [_proven(record, payload_file) for record in records]
    position, end = 0, start
    while position < count:
        group = records[position : position + records[position].remaining + 1]
        stop = position + records[position].remaining + 1
        if stop > count or not all(proven[position:stop]):
            break
        if any(r.remaining != stop - position - i - 1 for i, r in enumerate(group)):
            break
        if any(a.start + a.length != b.start for a, b in pairwise(group)):
            break
        if group[0].start != end:
            break
        position, end = stop, group[-1].start + group[-1].length
    groups = {i + records[i].remaining for i in range(position, count) if proven[i]}
    if len(groups) > 1:
        raise IntegrityError("an entry of the audit log is damaged")
    partial = 1 if len(raw) % RECORD else 0
    return _Scan(index, start, records[:position], end, count - position + partial)


def _proven(record: Record, payload_file: int) -> bool:
    return record.proves(read_payload(payload_file, record))


def _settle(segment: Segment, tree_file: int, payload_file: int, scan: _Scan, disk: Disk) -> None:
    """Cut the torn tail and write the rest behind the checkpoint once more.

    After a failed sync Linux keeps what it could not write in memory, marked as written. A process
    that starts then would read it and believe it durable; written again it is.
    """
    offset = segment.record_offset(scan.index)
    disk.truncate(tree_file, offset + len(scan.records) * RECORD)
    disk.truncate(payload_file, scan.end)
    disk.write(payload_file, os.pread(payload_file, scan.end - scan.start, scan.start), scan.start)
    disk.sync(payload_file)
    disk.write(tree_file, b"".join(record.encode() for record in scan.records), offset)
    disk.sync(tree_file)


def _check_headers(segment: Segment, tree_file: int, payload_file: int) -> None:
    headers = os.pread(tree_file, HEADER, 0), os.pread(payload_file, HEADER, 0)
    if headers != (segment.tree_header, segment.payloads_header):
        raise IntegrityError("a file of the audit log is not one")


def _add(tree: CompactRange, scan: _Scan) -> None:
    for record in scan.records:
        tree.append(leaf_hash(record.encode()))
