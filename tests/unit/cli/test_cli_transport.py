# SPDX-License-Identifier: Apache-2.0
"""A lone command's own server: bodies stream, and failures reach the caller as themselves."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from radkeep.cli.transport import LocalTransport
from radkeep.domain.errors import IntegrityError, TooLargeError

PIECE = 1 << 16


def client(application: ASGIApp) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=LocalTransport(application), base_url="http://radkeep")


async def begin(send: Send, status: int = 200) -> None:
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request, piece by piece."""
    await begin(send)
    line = f"{scope['method']} {scope['path']} {scope['raw_path'].decode()} "
    await send({"type": "http.response.body", "body": line.encode(), "more_body": True})
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": True})
    await send({"type": "http.response.body", "body": scope["query_string"]})


def test_a_request_and_its_answer_are_whole() -> None:
    async def run() -> None:
        async with client(echo) as http:
            answer = await http.post("/a%2Fb%23c?x=%20", content=b"body ")
            assert answer.status_code == 200
            assert answer.content == b"POST /a/b#c /a%2Fb%23c body x=%20"

    asyncio.run(run())


def test_no_more_is_made_than_is_taken() -> None:
    made: list[int] = []

    async def endless(_scope: Scope, _receive: Receive, send: Send) -> None:
        await begin(send)
        while True:
            made.append(1)
            await send({"type": "http.response.body", "body": bytes(PIECE), "more_body": True})

    async def run() -> None:
        async with client(endless) as http, http.stream("GET", "/") as answer:
            pieces = answer.aiter_raw()
            for _ in range(5):
                assert len(await anext(pieces)) == PIECE
            assert len(made) < 9

    asyncio.run(run())


def test_no_more_is_sent_than_is_read() -> None:
    sent: list[int] = []

    async def refuse(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await begin(send, 413)
        await send({"type": "http.response.body", "body": b"too long"})

    async def endless() -> AsyncIterator[bytes]:
        while True:
            sent.append(1)
            yield bytes(PIECE)

    async def run() -> None:
        async with client(refuse) as http:
            answer = await http.post("/", content=endless())
            assert (answer.status_code, answer.content) == (413, b"too long")
            assert len(sent) < 4

    asyncio.run(run())


def test_a_body_that_cannot_be_read_fails_as_itself() -> None:
    seen: list[Message] = []

    async def patient(_scope: Scope, receive: Receive, send: Send) -> None:
        while not seen or seen[-1]["type"] == "http.request":
            seen.append(await receive())
        await begin(send, 400)
        await send({"type": "http.response.body", "body": b"half"})

    async def broken() -> AsyncIterator[bytes]:
        yield b"begun"
        raise TooLargeError("larger than its archive says")

    async def run() -> None:
        async with client(patient) as http:
            with pytest.raises(TooLargeError):
                await http.post("/", content=broken())
        assert seen[-1] == {"type": "http.disconnect"}

    asyncio.run(run())


@pytest.mark.parametrize("started", [False, True])
def test_an_answer_that_breaks_off_is_never_taken_for_whole(*, started: bool) -> None:
    async def breaks(_scope: Scope, _receive: Receive, send: Send) -> None:
        if started:
            await begin(send)
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise IntegrityError("damaged")

    async def run() -> None:
        async with client(breaks) as http:
            with pytest.raises(httpx2.TransportError):
                await http.get("/")

    asyncio.run(run())


def test_a_caller_that_leaves_ends_the_application() -> None:
    ended = asyncio.Event()

    async def waits(_scope: Scope, _receive: Receive, send: Send) -> None:
        await begin(send)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def run() -> None:
        async with client(waits) as http, http.stream("GET", "/"):
            pass
        assert ended.is_set()

    asyncio.run(run())
