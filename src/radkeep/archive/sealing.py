# SPDX-License-Identifier: Apache-2.0
"""The end of a volume: index, Merkle root, write protection.

Invariant: a seal is durable only after all its groups are; a volume without a valid seal is read
by its group markers, so a cut while sealing loses nothing.
"""

from dataclasses import dataclass

from radkeep.archive.format import index_digests, microseconds, pack_seal
from radkeep.archive.volume import OpenVolume
from radkeep.audit.tree import merkle_root
from radkeep.domain.clock import Clock


@dataclass(frozen=True, slots=True)
class SealedVolume:
    """What the audit log should remember of a sealed volume."""

    name: str
    records: int
    root: bytes  # RFC 6962 tree over the record digests


def seal(volume: OpenVolume, clock: Clock) -> SealedVolume:
    """Seal ``volume`` and close it.

    Raises:
        ArchiveFullError: no room for the index; the volume is closed and whole without it.
        IntegrityError: the disk refused; as above.
    """
    volume.end()
    index = bytes(volume.index)
    digests = index_digests(index)
    root = merkle_root(digests)
    file = volume.file
    try:
        file.truncate(volume.position)  # gives back what was allocated ahead
        end = pack_seal(volume.id, volume.position, index, root=root, at=microseconds(clock))
        file.write([index, end], volume.position)
        file.sync()
        file.protect()
    finally:
        file.close()
    return SealedVolume(volume.name, len(digests), root)
