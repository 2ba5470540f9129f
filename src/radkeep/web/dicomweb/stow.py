# SPDX-License-Identifier: Apache-2.0
"""STOW-RS: storing (PS3.18 Section 10.5).

Invariant: memory per request is a few blocks, whatever is sent; parts go to ``ingest.store`` as
they come, one after the other, and every part that was not stored is told with its reason.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Final

from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.domain.errors import InvalidRequestError, RadkeepError, UnsupportedError
from radkeep.domain.uid import Uid
from radkeep.ingest.store import Receipt, Reception, Store
from radkeep.ingest.transfers import Transfer
from radkeep.web.dicomweb.accept import DICOM, choose_json
from radkeep.web.dicomweb.addresses import base_of
from radkeep.web.dicomweb.outcomes import Outcomes
from radkeep.web.kit.media_types import parse_media_type
from radkeep.web.kit.multipart import PartReader, boundary_of
from radkeep.web.kit.requests import Incoming, body_pieces
from radkeep.web.kit.threads import Threads

PROTOCOL: Final = "stow-rs"
BLOCK: Final = 1 << 20  # bytes handed to the pool at once
MAX_WAITING: Final = 64  # instances that are written and not yet acknowledged

Waiting = tuple[Future[Receipt], Reception]


class Stow:
    """Handler of the store resources."""

    def __init__(self, store: Store, threads: Threads, *, limit: int) -> None:
        """Store through ``store``; a request has at most ``limit`` bytes."""
        self._store = store
        self._threads = threads
        self._limit = limit

    async def studies(self, request: Incoming, actor: Actor) -> Response:
        """Answer POST /studies and /studies/{study}."""
        media_type = choose_json(request)
        base = base_of(request)
        raw = request.path_params.get("study")
        study = Uid.parse(raw) if raw else None
        if not actor.organization:
            raise InvalidRequestError("instances belong to an organization: name one")
        transfer = await self._threads.run(
            self._store.transfer,
            actor,
            session=actor.session or secrets.token_hex(8),
            protocol=PROTOCOL,
        )
        upload = Upload(self._store, transfer, study)
        try:
            try:
                await self._receive(request, upload)
            finally:  # also when a later part was broken: what ended before it is stored
                await upload.settle()
        finally:
            await self._threads.resume(upload.close)
        return upload.outcomes.response(base, media_type)

    async def _receive(self, request: Incoming, upload: "Upload") -> None:
        """Feed the body block by block; the next block is gathered while one is worked on."""
        reader = _reader(request, upload)
        gathered: list[bytes] = []
        size = 0
        work: asyncio.Task[None] | None = None
        try:
            async for piece in body_pieces(request, limit=self._limit):
                gathered.append(piece)
                size += len(piece)
                if size < BLOCK:
                    continue
                if work is not None:
                    await work
                    await upload.settle(leave=MAX_WAITING)
                block = b"".join(gathered)
                work = asyncio.create_task(self._threads.resume(reader.feed, block))
                gathered, size = [], 0
        finally:
            if work is not None:
                await work
        await self._threads.resume(reader.feed, b"".join(gathered))
        await self._threads.resume(reader.finish)


class _Single:
    """The whole body as the only part."""

    def __init__(self, upload: "Upload", content_type: str) -> None:
        self._upload = upload
        upload.begin({"content-type": content_type})

    def feed(self, data: bytes) -> None:
        """Take more of the body."""
        self._upload.data(memoryview(data))

    def finish(self) -> None:
        """Say that the body ended."""
        self._upload.end()


def _reader(request: Incoming, upload: "Upload") -> PartReader | _Single:
    raw = request.headers.get("content-type", "")
    if not raw:
        raise UnsupportedError("the request has no Content-Type")
    media_type = parse_media_type(raw)
    if media_type.name == DICOM:
        return _Single(upload, raw)
    root = media_type.parameters.get("type", DICOM).lower()
    if root != DICOM:
        raise UnsupportedError("only application/dicom is stored")
    return PartReader(boundary_of(media_type), upload)


class Upload:
    """The parts of one request on their way in. One thread at a time."""

    def __init__(self, store: Store, transfer: Transfer, study: Uid | None) -> None:
        self.outcomes: Final = Outcomes()
        self._store = store
        self._transfer = transfer
        self._study = study
        self._reception: Reception | None = None
        self._waiting: deque[Waiting] = deque()

    def begin(self, headers: Mapping[str, str]) -> None:
        """Start a part."""
        try:
            content = parse_media_type(headers.get("content-type", DICOM))
            if content.name != DICOM:
                raise UnsupportedError("only application/dicom is stored")
        except RadkeepError as error:
            self._transfer.refused(error)
            self.outcomes.refused(error, None)
            return
        self._reception = self._store.receive(
            self._transfer, transfer_syntax=None, study=self._study or ""
        )

    def data(self, data: memoryview) -> None:
        """Take more of the part."""
        reception = self._reception
        if reception is None:
            return  # refused: the rest of the part is skipped
        try:
            reception.feed(data)
        except RadkeepError as error:
            self._refuse(error, reception)

    def end(self) -> None:
        """End the part."""
        reception, self._reception = self._reception, None
        if reception is None:
            return
        try:
            self._waiting.append((reception.finish(), reception))
        except RadkeepError as error:
            self._refuse(error, reception)

    async def settle(self, *, leave: int = 0) -> None:
        """Wait until at most ``leave`` instances are not acknowledged yet."""
        while len(self._waiting) > leave:
            future, reception = self._waiting.popleft()
            try:
                receipt = await asyncio.wrap_future(future)
            except RadkeepError as error:
                self.outcomes.refused(error, reception.identity)
            else:
                self.outcomes.stored(receipt)

    def close(self) -> None:
        """Forget a part that never ended, and audit what came."""
        if self._reception is not None:
            self._reception.abandon()
            self._reception = None
        self._transfer.close()

    def _refuse(self, error: RadkeepError, reception: Reception) -> None:
        self._reception = None
        self.outcomes.refused(error, reception.identity)
