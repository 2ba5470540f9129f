# SPDX-License-Identifier: Apache-2.0
"""One record being received: sealed on the caller's thread, chunk by chunk, as its bytes come.

Invariant: plain text is held for less than one chunk; a record holds a bounded number of slabs,
because beyond SMALL_OBJECT_BYTES, or when slabs are scarce, it streams into a volume of its own.
"""

import hashlib
import secrets
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, Protocol

from radkeep.archive.format import (
    START,
    TRAILER,
    RecordKind,
    pack_start,
    pack_trailer,
    parse_trailer,
    part_context,
)
from radkeep.archive.slabs import SEALED_CHUNK, SLAB, Slab, SlabPool
from radkeep.archive.volume import OpenVolume, Sealed
from radkeep.crypto.seal import CHUNK, HEADER, TAG, Sealer, seal, sealed_length
from radkeep.domain.limits import SMALL_OBJECT_BYTES
from radkeep.domain.placement import Placement
from radkeep.ingest.ports import Arrival, Verdict

_PIECE: Final = 4  # slabs written at once while streaming: 1 MiB
_MARKER_ROOM: Final = 4096  # bytes, for the group marker: also a full disk is noticed here

Describe = Callable[[Placement], Arrival]


class Host(Protocol):
    """What a record needs of its writer."""

    slabs: SlabPool

    def new_single(self) -> OpenVolume:
        """Create a volume for one large object."""
        ...

    def drop_single(self, volume: OpenVolume) -> None:
        """Remove a volume that holds nothing."""
        ...

    def submit(self, finished: "Finished") -> None:
        """Take a finished record."""
        ...


class Finished:
    """A whole record on its way to the disk."""

    __slots__ = ("describe", "future", "key", "organization", "sealed", "single", "slabs")

    def __init__(
        self,
        sealed: Sealed,
        *,
        slabs: list[Slab],
        single: OpenVolume | None,
        key: tuple[bytes, str],
        describe: Describe,
    ) -> None:
        self.sealed = sealed
        self.slabs = slabs
        self.single = single
        self.key, self.organization = key
        self.describe = describe
        self.future: Future[Verdict] = Future()
        self.future.set_running_or_notify_cancel()  # what the disk will have cannot be cancelled


class Record:
    """An ``ingest.ports.OpenRecord``. Used by one thread at a time."""

    def __init__(
        self, host: Host, slab: Slab, *, key_id: bytes, key: bytes, organization: str
    ) -> None:
        self._host = host
        self._slabs = [slab]
        self._carry = host.slabs.take_carry()
        self._carried = 0
        self._key_id, self._key, self._organization = key_id, key, organization
        self._object_id = secrets.token_bytes(16)
        self._single: OpenVolume | None = None
        self._flushed = 0  # bytes of the record in its own volume
        self._body = 0  # plain bytes
        self._open = True
        self._digest = hashlib.sha256()
        self._put(pack_start(RecordKind.INSTANCE, key_id, self._object_id))
        self._sealer = self._part("body")

    def write(self, data: memoryview) -> None:
        """See ``OpenRecord.write``."""
        self._body += len(data)
        room = CHUNK - self._carried
        if len(data) <= room:  # may be the last chunk: keep it
            self._carry[self._carried : self._carried + len(data)] = data
            self._carried += len(data)
            return
        if self._carried:
            self._carry[self._carried :] = data[:room]
            self._seal(self._sealer, self._carry, last=False)
            data = data[room:]
        whole = (len(data) - 1) // CHUNK * CHUNK
        if whole:
            self._seal(self._sealer, data[:whole], last=False)
        self._carried = len(data) - whole
        self._carry[: self._carried] = data[whole:]

    def finish(self, head: bytes, describe: Describe) -> Future[Verdict]:
        """See ``OpenRecord.finish``."""
        try:
            self._seal(self._sealer, self._carry[: self._carried], last=True)
            self._seal(self._part("head"), memoryview(head), last=True)
            self._put(pack_trailer(self._body, len(head)))
            if self._single is not None:
                self._flush(self._single)
                self._single.file.sync()  # here, so that the writer thread does not wait for it
        except BaseException:
            self.abandon()
            raise
        self._open = False
        self._host.slabs.give_carry(self._carry)
        slabs = self._slabs
        length = self._flushed + sum(slab.used for slab in slabs)
        views = [slab.view[: slab.used] for slab in slabs if slab.used]
        digest = self._digest.digest()
        finished = Finished(
            Sealed(RecordKind.INSTANCE, self._key_id, length, digest, views),
            slabs=slabs,
            single=self._single,
            key=(self._key, self._organization),
            describe=describe,
        )
        self._host.submit(finished)
        return finished.future

    def abandon(self) -> None:
        """See ``OpenRecord.abandon``."""
        if self._open:
            self._open = False
            self._host.slabs.give_carry(self._carry)
            self._host.slabs.release(self._slabs, returned=False)
            self._slabs = []
            if self._single is not None:
                self._host.drop_single(self._single)

    def _part(self, part: str) -> Sealer:
        sealer = Sealer(self._key, part_context(self._organization, self._object_id, part))
        self._put(sealer.header)
        return sealer

    def _put(self, frame: bytes) -> None:
        self._slab(len(frame)).put(frame)
        self._digest.update(frame)

    def _seal(self, sealer: Sealer, plain: memoryview, *, last: bool) -> None:
        while True:
            slab = self._slabs[-1]
            if SLAB - slab.used < min(len(plain), CHUNK) + TAG:
                slab = self._next_slab()
            piece = plain[: max(1, (SLAB - slab.used) // SEALED_CHUNK) * CHUNK]
            plain = plain[len(piece) :]
            out = slab.view[slab.used :]
            length = sealer.seal_into(piece, out, last=last and not plain)
            for end in range(SEALED_CHUNK, length, SEALED_CHUNK):
                self._digest.update(out[end - TAG : end])
            self._digest.update(out[length - TAG : length])
            slab.used += length
            if not plain:
                return

    def _slab(self, needed: int) -> Slab:
        """Return a slab with room for ``needed`` bytes, which one always has."""
        slab = self._slabs[-1]
        if SLAB - slab.used >= needed:
            return slab
        return self._next_slab()

    def _next_slab(self) -> Slab:
        if self._single is None and self._body > SMALL_OBJECT_BYTES:
            self._single = self._host.new_single()
        if self._single is not None and len(self._slabs) >= _PIECE:
            self._flush(self._single)
            return self._slabs[-1]
        taken = self._host.slabs.take()
        if taken is None:  # scarce: give back all but one
            self._single = self._single or self._host.new_single()
            self._flush(self._single)
            return self._slabs[-1]
        self._slabs.append(taken)
        return taken

    def _flush(self, single: OpenVolume) -> None:
        """Write what the slabs hold; keep one of them."""
        views = [slab.view[: slab.used] for slab in self._slabs if slab.used]
        start = single.position + self._flushed
        length = sum(map(len, views))
        single.reserve(start + length + _MARKER_ROOM)
        single.file.write(views, start)
        single.file.start_writeback(start, length)
        self._flushed += length
        kept = self._slabs.pop()
        kept.used = 0
        self._host.slabs.release(self._slabs, returned=False)
        self._slabs = [kept]


def ruling_record(key_id: bytes, key: bytes, organization: str, body: bytes) -> Sealed:
    """Return a whole ruling record, sealed under the key of the record it rules about."""
    object_id = secrets.token_bytes(16)
    start = pack_start(RecordKind.RULING, key_id, object_id)
    parts = [
        seal(key, part_context(organization, object_id, part), plain)
        for part, plain in (("body", body), ("head", b""))
    ]
    trailer = pack_trailer(len(body), 0)
    data = b"".join([start, *parts, trailer])
    digest = record_digest(lambda offset, length: data[offset : offset + length], len(data))
    return Sealed(RecordKind.RULING, key_id, len(data), digest, [data])


def record_digest(read: Callable[[int, int], bytes], length: int) -> bytes:
    """Return the digest of a record: start marker, part headers, chunk tags, trailer.

    A tag stands for its chunk: nobody without the key can make another chunk with the same tag.

    Args:
        read: returns so many bytes from so far behind the record's beginning.
        length: of the whole record.

    Raises:
        IntegrityError: it has no valid trailer.
    """
    trailer = read(length - TRAILER, TRAILER)
    digest = hashlib.sha256(read(0, START))
    at = START
    for plain in parse_trailer(trailer, length):
        digest.update(read(at, HEADER))
        stop = at + sealed_length(plain)
        at += HEADER
        while at < stop:
            at = min(at + SEALED_CHUNK, stop)
            digest.update(read(at - TAG, TAG))
    digest.update(trailer)
    return digest.digest()
