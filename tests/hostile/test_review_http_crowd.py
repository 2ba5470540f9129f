# SPDX-License-Identifier: Apache-2.0
"""A stranger who begins requests and ends none keeps nobody out."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
import uvloop
from starlette.responses import PlainTextResponse, Response

from radkeep.domain.actor import Actor
from radkeep.domain.errors import UnauthenticatedError
from radkeep.identity.records import Organization
from radkeep.web.application import application
from radkeep.web.kit import connection
from radkeep.web.kit.authentication import Authentication
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Kit, Surface
from radkeep.web.kit.threads import Threads
from radkeep.web.server import Listener, bind_tcp, serve

DEADLINE = 10.0
HELLO = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
UNENDED = b"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"


class Nobody:
    """Knows nobody."""

    def actor(self, secret: str, /, *, address: str) -> Actor:
        raise UnauthenticatedError("sign in first")

    def list(self, actor: Actor) -> list[Organization]:
        return []

    def find(self, name: str = "") -> Organization:
        raise AssertionError


def say(_request: Incoming) -> Response:
    return PlainTextResponse("hello")


@pytest.fixture
def port() -> Iterator[int]:
    """Serve two open routes on a loop in a thread of its own."""
    threads, nobody = Threads(workers=2), Nobody()
    authentication = Authentication(sessions=nobody, tokens=nobody, organizations=nobody)
    surface = Surface(kit=Kit(authentication=authentication, threads=threads))
    app = application(
        [
            surface.open_route("/hello", say, why="test"),
            surface.open_route("/post", say, why="test", methods=["POST"]),
        ]
    )
    sock, ready = bind_tcp("127.0.0.1", 0), threading.Event()
    handles: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        handles.append((asyncio.get_running_loop(), stop))
        await serve([Listener(sock=sock, application=app)], stop=stop, ready=ready.set)

    thread = threading.Thread(
        target=lambda: asyncio.Runner(loop_factory=uvloop.new_event_loop).run(main())
    )
    number: int = sock.getsockname()[1]
    thread.start()
    assert ready.wait(DEADLINE)
    yield number
    loop, stop = handles[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(2 * DEADLINE)
    assert not thread.is_alive()
    threads.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), DEADLINE)


def hear(sock: socket.socket) -> bytes:
    """Return what comes until the peer closes."""
    received = b""
    with suppress(ConnectionError):
        while piece := sock.recv(65_536):
            received += piece
    return received


def test_requests_that_never_end_make_room(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 4)
    held = [connect(port) for _ in range(4)]
    for sock in held:
        sock.sendall(UNENDED)
    try:
        for _ in range(3):  # the oldest goes, each time
            with closing(connect(port)) as late:
                late.sendall(HELLO)
                assert hear(late).endswith(b"hello")
    finally:
        for sock in held:
            sock.close()
