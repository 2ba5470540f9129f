# SPDX-License-Identifier: Apache-2.0
"""Requests to an application in this very process, streamed both ways.

Invariant: no more of a body is held than one message, however long it is, and what fails while a
body is sent or made reaches the caller as itself.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
from starlette.types import ASGIApp, Message, Scope
from typing_extensions import override

from radkeep.domain.errors import RadkeepError


class LocalTransport(httpx2.AsyncBaseTransport):
    """An HTTP transport that calls ``application``."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer ``request`` as soon as the application begins to."""
        exchange = _Exchange(request)
        await exchange.start(self._application)
        return httpx2.Response(exchange.status, headers=exchange.headers, stream=exchange)


class _Exchange(httpx2.AsyncByteStream):
    """One request and its answer, whose body it yields."""

    def __init__(self, request: httpx2.Request) -> None:
        assert isinstance(request.stream, httpx2.AsyncByteStream)  # noqa: S101 - of an AsyncClient
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._scope = _scope(request)
        self._body: AsyncIterator[bytes] | None = aiter(request.stream)
        self._messages: asyncio.Queue[Message] = asyncio.Queue(1)
        self._left = asyncio.Event()
        self._failure: RadkeepError | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, application: ASGIApp) -> None:
        """Call the application and wait for the start of its answer.

        Raises:
            RadkeepError: the request's body could not be read.
        """
        self._task = asyncio.create_task(self._run(application))
        message = await self._next()
        if self._failure is not None:
            await self.aclose()
            raise self._failure
        self.status, self.headers = message["status"], list(message["headers"])

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._next()
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]

    @override
    async def aclose(self) -> None:
        """Leave, as a peer does that hangs up."""
        self._left.set()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, application: ASGIApp) -> None:
        await application(self._scope, self._receive, self._messages.put)

    async def _receive(self) -> Message:
        if self._body is None:
            await self._left.wait()
            return {"type": "http.disconnect"}
        try:
            piece = await anext(self._body, None)
        except RadkeepError as error:
            self._failure, self._body = error, None
            return {"type": "http.disconnect"}
        if piece is None:
            self._body = None
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def _next(self) -> Message:
        """Return what the application sends next.

        Raises:
            httpx2.RemoteProtocolError: it ended without sending it, as a cut connection looks.
        """
        if self._task is None:
            raise RuntimeError("not started")
        coming = asyncio.ensure_future(self._messages.get())
        await asyncio.wait([coming, self._task], return_when=asyncio.FIRST_COMPLETED)
        if coming.done():
            return coming.result()
        coming.cancel()
        if self._failure is not None:
            raise self._failure
        raise httpx2.RemoteProtocolError("the answer is not whole") from self._task.exception()


def _scope(request: httpx2.Request) -> Scope:
    url: Any = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?")[0],
        "query_string": url.query,
        "server": (url.host, url.port),
        "client": None,
        "root_path": "",
    }
