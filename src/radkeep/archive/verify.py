# SPDX-License-Identifier: Apache-2.0
"""Verification of volumes: what is on the disk is what was written.

Invariant: nothing is changed; memory is bounded by one volume's index. Volumes that are being
written are looked at up to their last group.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from radkeep.archive.disk import Disk, SystemDisk
from radkeep.archive.findings import Finding, FindingKind
from radkeep.archive.format import (
    SUFFIX,
    Indexed,
    RecordKind,
    index_digests,
    index_length,
)
from radkeep.archive.found import Found, looked_at, volume_names
from radkeep.archive.keyring import KeyMissingError
from radkeep.archive.reader import Keys
from radkeep.archive.record import record_digest
from radkeep.audit.tree import merkle_root
from radkeep.domain.errors import IntegrityError

Inspect = Callable[[bytes, Callable[[int, int], Iterator[bytes]]], str]
"""Says what is wrong with head and body of an instance; "" when nothing is."""

__all__ = ["Finding", "FindingKind", "roots", "verify"]


def verify(
    directory: Path,
    *,
    keys: Keys,
    full: bool,
    disk: Disk | None = None,
    inspect: Inspect | None = None,
) -> Iterator[Finding]:
    """Yield what is wrong with the volumes in ``directory``; nothing when all is well.

    Always checked: headers, group markers, indexes and Merkle roots, each record's frames, tags
    and head. With ``full`` every byte of every body as well, and what ``inspect`` says of head and
    body of each instance.
    """
    disk = disk or SystemDisk()
    for name in volume_names(disk, directory):
        try:
            path = directory / (name + SUFFIX)
            found = looked_at(path, disk.open(path), ours=False)
        except FileNotFoundError:  # empty, and removed by its writer in the meantime
            continue
        yield from _verify(found, keys, full=full, inspect=inspect)


def roots(directory: Path, *, disk: Disk | None = None) -> dict[str, bytes | None]:
    """Return the Merkle root of each volume in ``directory``; None where there is no valid seal."""
    disk = disk or SystemDisk()
    found: dict[str, bytes | None] = {}
    for name in volume_names(disk, directory):
        path = directory / (name + SUFFIX)
        seal = looked_at(path, disk.open(path), ours=False).seal
        found[name] = seal.root if seal is not None else None
    return found


def _verify(found: Found, keys: Keys, *, full: bool, inspect: Inspect | None) -> Iterator[Finding]:
    spans = found.spans()
    if found.seal is not None:
        index = found.file.read(found.end, index_length(found.seal.records))
        if merkle_root(index_digests(index)) != found.seal.root:
            found.note(found.end, FindingKind.DAMAGE, "the index does not have the sealed root")
        found.groups()  # a gap between groups is in no index
    yield from found.findings
    for span in spans:
        for record in span.records:
            reason = _check(found, record, keys, full=full, inspect=inspect)
            if reason:
                yield Finding(found.name, record.offset, FindingKind.DAMAGE, reason)


def _check(
    found: Found, record: Indexed, keys: Keys, *, full: bool, inspect: Inspect | None
) -> str:
    """Return what is wrong with a record; nothing if all is well."""
    try:
        digest = record_digest(
            lambda at, length: found.file.read(record.offset + at, length), record.length
        )
        if digest != record.digest:
            return "a record is not the one that was written"
        opened = found.open(record, keys)
        head = b"".join(opened.head.read(0, opened.head.length))
        if inspect is not None and record.kind is RecordKind.INSTANCE:
            return inspect(head, opened.body.read)
        if full:
            for _ in opened.body.read(0, opened.body.length):
                pass
    except KeyMissingError:  # erased, which is no damage
        return ""
    except IntegrityError as error:
        return str(error)
    return ""
