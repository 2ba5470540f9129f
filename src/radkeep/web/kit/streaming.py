# SPDX-License-Identifier: Apache-2.0
"""Bodies that are pulled from synchronous iterators, in large pieces and without copies.

Invariant: memory per response is bounded by two batches, whatever the body's length; the first
batch is pulled before the status leaves, so that an early error is still told as one.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from radkeep.domain.errors import RadkeepError
from radkeep.web.kit.threads import Threads

BATCH: Final = 2 << 20  # bytes pulled in one visit to the pool
JOINED: Final = 16 << 10  # shorter neighbors are joined: one small copy is cheaper than a write


class Pieces(Response):
    """A body of known or unknown length from an iterator of bytes."""

    def __init__(
        self,
        pieces: Iterator[bytes],
        *,
        length: int | None,
        media_type: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._pieces = pieces
        self._threads: Threads | None = None
        self._ready: list[bytes] = []
        self._done = False
        self.body_length = length
        super().__init__(None, status, headers, media_type)
        del self.headers["content-length"]
        if length is not None:
            self.headers["content-length"] = str(length)

    def prefetch(self, threads: Threads, *, head: bool) -> None:
        """Pull the first batch; called in the pool, by whoever made the response there.

        Raises:
            RadkeepError: nothing was sent yet, so it can be told.
        """
        self._threads = threads
        if head:
            self._close()
        else:
            self._ready = self._pull()

    @override
    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send status, headers and body."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        if self._done:
            await _send_batch(send, self._ready, last=True)
            return
        watch = asyncio.create_task(_gone(receive))
        try:
            await self._stream(send, watch)
        finally:
            watch.cancel()

    async def _stream(self, send: Send, gone: "asyncio.Task[None]") -> None:
        threads = self._threads
        if threads is None:
            raise RuntimeError("prefetch was not called")
        ready, self._ready = self._ready, []
        while not self._done:
            coming = asyncio.create_task(threads.resume(self._pull))
            try:
                await _send_batch(send, ready, last=False)
            finally:
                await asyncio.wait([coming])  # the iterator belongs to one thread at a time
            if gone.done():
                await threads.resume(self._close)
                return
            try:
                ready = coming.result()
            except RadkeepError as error:  # too late for a status: the length will not match
                structlog.get_logger().error("response.broken", reason=error.code)
                return
        await _send_batch(send, ready, last=True)

    def _pull(self) -> list[bytes]:
        batch: list[bytes] = []
        small: list[bytes] = []
        total = 0
        for piece in self._pieces:
            total += len(piece)
            if len(piece) <= JOINED:
                small.append(piece)
            else:
                if small:
                    batch.append(b"".join(small))
                    small.clear()
                batch.append(piece)
            if total >= BATCH:
                break
        else:
            self._done = True
        if small:
            batch.append(b"".join(small))
        return batch

    def _close(self) -> None:
        self._done = True
        close = getattr(self._pieces, "close", None)
        if close is not None:
            with suppress(RadkeepError):
                close()


async def _send_batch(send: Send, batch: list[bytes], *, last: bool) -> None:
    for piece in batch[:-1]:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    tail = batch[-1] if batch else b""
    if tail or last:
        await send({"type": "http.response.body", "body": tail, "more_body": not last})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
