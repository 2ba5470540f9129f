# SPDX-License-Identifier: Apache-2.0
"""What a hostile peer does to the web door: dribble, flood, lie, go silent, never read."""

import asyncio
import os
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import uvloop
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from radkeep.crypto.certificates import issue_server, new_authority
from radkeep.domain.actor import Actor
from radkeep.domain.clock import SystemClock
from radkeep.domain.errors import UnauthenticatedError
from radkeep.identity.permissions import Permission
from radkeep.identity.records import Organization
from radkeep.web.application import application
from radkeep.web.kit import connection, lobby, requests
from radkeep.web.kit.authentication import Authentication, peer_user
from radkeep.web.kit.requests import Incoming, body_pieces
from radkeep.web.kit.routes import Access, Kit, Surface
from radkeep.web.kit.streaming import Pieces
from radkeep.web.kit.threads import Threads
from radkeep.web.kit.tls import server_context
from radkeep.web.server import Listener, bind_tcp, bind_unix, serve

DEADLINE = 10.0
SOON = 4.0  # less than any deadline of the server's
GET = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [
    uvloop.new_event_loop,
    asyncio.new_event_loop,
]


class Nobody:
    """Knows nobody."""

    def actor(self, secret: str, /, *, address: str) -> Actor:
        raise UnauthenticatedError("sign in first")

    def list(self, actor: Actor) -> list[Organization]:
        return []

    def find(self, name: str = "") -> Organization:
        raise AssertionError


class Endless:
    """A body without end that says when its reader left."""

    def __init__(self, left: threading.Event) -> None:
        self._left = left

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return b"x" * (1 << 20)

    def close(self) -> None:
        self._left.set()


class Door:
    """A small application behind real listeners."""

    def __init__(self, folder: Path, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.threads = Threads(workers=2)
        self.held = threading.Event()
        self.release = threading.Event()
        self.left = threading.Event()
        self.control = folder / "control.sock"
        plain, secured = bind_tcp("127.0.0.1", 0), bind_tcp("127.0.0.1", 0)
        self.port: int = plain.getsockname()[1]
        self.tls_port: int = secured.getsockname()[1]
        now = SystemClock().now()
        authority = new_authority(bytes(32), ["localhost"], now=now)
        issued = issue_server(
            authority.certificate, bytes(32), bytes(range(32)), "localhost", now=now
        )
        self.ca = authority.certificate.decode()
        app = self._app()
        self._listeners = [
            Listener(sock=plain, application=app),
            Listener(
                sock=secured,
                application=app,
                tls=server_context(issued.certificate, issued.key),
            ),
            Listener(sock=bind_unix(self.control), application=app),
        ]
        self._new_loop = loop
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(DEADLINE)

    def _app(self) -> ASGIApp:
        nobody = Nobody()
        kit = Kit(
            authentication=Authentication(sessions=nobody, tokens=nobody, organizations=nobody),
            threads=self.threads,
        )
        surface = Surface(kit=kit)

        def hello(_request: Incoming) -> Response:
            return PlainTextResponse("hello")

        def hold(_request: Incoming) -> Response:
            self.held.set()
            assert self.release.wait(DEADLINE)
            return PlainTextResponse("held")

        def endless(_request: Incoming) -> Response:
            return Pieces(Endless(self.left), length=1 << 40, media_type="a/b")

        def who(request: Incoming, actor: Actor) -> Response:
            return PlainTextResponse(f"{actor.id} {peer_user(request)}")

        async def upload(request: Incoming, _actor: Actor) -> Response:
            total = sum([len(piece) async for piece in body_pieces(request, limit=1 << 30)])
            return PlainTextResponse(str(total))

        def post(_request: Incoming) -> Response:
            return PlainTextResponse("posted")

        return application(
            [
                surface.open_route("/hello", hello, why="test"),
                surface.open_route("/hold", hold, why="test"),
                surface.open_route("/endless", endless, why="test"),
                surface.open_route("/post", post, why="test", methods=["POST"]),
                surface.route("/who", who, needs=Access.SIGNED_IN),
                surface.stream_route(
                    "/upload", upload, needs=Permission.INSTANCE_STORE, methods=["POST"]
                ),
            ]
        )

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), DEADLINE)
        sock.settimeout(DEADLINE)
        return sock

    def connect_control(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(DEADLINE)
        sock.connect(str(self.control))
        return sock

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)

    def close(self) -> None:
        self.release.set()
        self.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.threads.close()

    def _run(self) -> None:
        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await serve(self._listeners, stop=self._stop, ready=self._ready.set)

        with asyncio.Runner(loop_factory=self._new_loop) as runner:
            runner.run(main())


@pytest.fixture(params=LOOPS, ids=["uvloop", "asyncio"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path, request.param)
    yield made
    made.close()


def answer(sock: socket.socket) -> bytes:
    """Return everything until the peer closes."""
    received = b""
    try:
        while piece := sock.recv(1 << 16):
            received += piece
    except ConnectionResetError:
        pass
    return received


def head(sock: socket.socket) -> bytes:
    """Return what comes until a whole short answer is there."""
    received = b""
    while not received.endswith(b"hello"):
        piece = sock.recv(1 << 16)
        assert piece, received
        received += piece
    return received


def test_answers_say_little(door: Door) -> None:
    with closing(door.connect()) as sock:
        sock.sendall(GET + GET)
        first = head(sock).lower()
    assert b"server:" not in first
    assert b"content-length: 5" in first


def test_a_silent_or_dribbling_peer_loses_its_connection(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    for beginning in (b"", b"GET / HTTP/1.1\r\nX-A: ", b"\r\n\r\n"):
        with closing(door.connect()) as sock:
            started = time.monotonic()
            sock.sendall(beginning)
            assert answer(sock) == b""
            assert time.monotonic() - started < 3


def test_line_ends_between_requests_do_not_keep_a_connection(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(door.connect()) as sock:
        sock.sendall(GET)
        head(sock)
        monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
        sock.sendall(b"\r\n\r\n")
        assert answer(sock) == b""


@pytest.mark.parametrize(
    "flood",
    [
        b"GET /" + b"x" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"X-A: y\r\n" * 20_000,
        b"GET / HTTP/1.1\r\nX-A: " + b"y" * 100_000,
    ],
)
def test_heads_are_bounded(door: Door, flood: bytes) -> None:
    with closing(door.connect()) as sock:
        sock.sendall(flood)
        assert answer(sock).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "request_",
    [
        b"rubbish\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /post HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: x\r\n X: folded\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost : x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        bytes(range(256)),
    ],
)
def test_what_is_no_request_is_refused(door: Door, request_: bytes) -> None:
    with closing(door.connect()) as sock:
        sock.sendall(request_)
        assert answer(sock).startswith(b"HTTP/1.1 400 ")


def test_a_dribbled_body_is_ended(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "IDLE", 0.3)
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.3)
    with closing(door.connect()) as sock:
        sock.sendall(b"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
        assert answer(sock).startswith(b"HTTP/1.1 408 ")


def test_an_early_answer_does_not_let_a_body_run_on(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.3)
    with closing(door.connect()) as sock:
        sock.sendall(b"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nx")
        assert answer(sock).startswith(b"HTTP/1.1 413 ")


def test_a_peer_that_never_reads_is_left(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.3)
    with closing(door.connect()) as sock:
        sock.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        with closing(door.connect()) as other:  # meanwhile others are served
            other.sendall(GET)
            head(other)
        assert door.left.wait(DEADLINE)
        assert len(answer(sock)) < 64 << 20


def test_a_full_house_turns_out_who_idles(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 3)
    with closing(door.connect()) as busy:
        busy.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert door.held.wait(DEADLINE)
        idle = [door.connect() for _ in range(8)]
        with closing(door.connect()) as late:
            late.sendall(GET)
            assert b"200 OK" in head(late)
        door.release.set()
        assert answer(busy).endswith(b"held")
        idle[0].settimeout(SOON)
        assert answer(idle[0]) == b""
        for sock in idle:
            sock.close()


def test_the_control_socket_knows_who_is_there(door: Door) -> None:
    assert door.control.stat().st_mode & 0o777 == 0o600
    with closing(door.connect_control()) as sock:
        sock.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer(sock).endswith(f"local:{os.getuid()} {os.getuid()}".encode())
    with closing(door.connect()) as sock:
        sock.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer(sock).startswith(b"HTTP/1.1 401 ")


def test_strangers_at_the_control_socket_are_left(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "peer_uid", lambda _sock: os.getuid() + 4711)
    with closing(door.connect_control()) as sock:
        try:
            sock.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
        except BrokenPipeError:
            return
        assert answer(sock) == b""


def test_uploads_arrive_whole(door: Door) -> None:
    size = 9_000_001
    with closing(door.connect_control()) as sock:
        sock.sendall(
            b"POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            + f"Content-Length: {size}\r\n\r\n".encode()
        )
        sock.sendall(bytes(size))
        assert answer(sock).endswith(str(size).encode())


def test_stopping_finishes_what_was_begun(door: Door) -> None:
    with closing(door.connect()) as sock:
        sock.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        assert door.held.wait(DEADLINE)
        door.stop()
        door.release.set()
        assert answer(sock).endswith(b"held")
    with pytest.raises(OSError, match=r"refused|reset"):
        door.connect()


@pytest.mark.parametrize(
    ("maximum", "ciphers", "passes"),
    [
        (ssl.TLSVersion.TLSv1_3, None, True),
        (ssl.TLSVersion.TLSv1_2, None, True),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256", False),  # no AEAD
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA", False),
        (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256", False),
    ],
)
def test_tls_is_modern(
    door: Door, maximum: ssl.TLSVersion, ciphers: str | None, *, passes: bool
) -> None:
    context = ssl.create_default_context(cadata=door.ca)
    context.maximum_version = maximum
    if ciphers:
        context.set_ciphers(ciphers + ":@SECLEVEL=0")
    raw = socket.create_connection(("127.0.0.1", door.tls_port), DEADLINE)
    try:
        with context.wrap_socket(raw, server_hostname="localhost") as sock:
            assert passes
            sock.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert answer(sock).endswith(b"hello")
    except ssl.SSLError:
        assert not passes
    finally:
        raw.close()


def tls_client(door: Door) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", door.tls_port), DEADLINE)
    context = ssl.create_default_context(cadata=door.ca)
    return context.wrap_socket(raw, server_hostname="localhost")


def silent(door: Door) -> socket.socket:
    return socket.create_connection(("127.0.0.1", door.tls_port), DEADLINE)


def hello(door: Door) -> None:
    with closing(tls_client(door)) as sock:
        sock.sendall(GET)
        head(sock)


def test_silent_peers_wait_without_tls_and_only_for_a_while(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lobby, "SWEEP_SECONDS", 0.1)
    waiting = [silent(door) for _ in range(50)]
    hello(door)
    waiting[0].sendall(b"\x16")  # one byte: a handshake that never ends
    hello(door)
    monkeypatch.setattr(lobby, "SILENT_SECONDS", 0.1)
    for sock in waiting[1:]:
        assert answer(sock) == b""
    for sock in waiting:
        sock.close()
    hello(door)


@pytest.fixture
def small_lobby(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lobby, "MAX_SILENT", 5)


@pytest.fixture
def few_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lobby, "MAX_HANDSHAKES", 5)


@pytest.mark.usefixtures("small_lobby")
def test_a_full_lobby_turns_out_the_oldest(door: Door) -> None:
    waiting = [silent(door) for _ in range(8)]
    hello(door)
    waiting[0].settimeout(SOON)
    assert answer(waiting[0]) == b""
    for sock in waiting:
        sock.close()


@pytest.mark.usefixtures("few_handshakes")
def test_unfinished_handshakes_keep_nobody_out(door: Door) -> None:
    waiting = [silent(door) for _ in range(8)]
    for sock in waiting:
        sock.sendall(b"\x16\x03\x01\x01\x00")
    hello(door)
    waiting[0].settimeout(SOON)
    answer(waiting[0])
    for sock in waiting:
        sock.close()


def test_a_handshake_has_a_deadline(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lobby, "HANDSHAKE_SECONDS", 0.2)
    with closing(silent(door)) as sock:
        sock.settimeout(SOON)
        sock.sendall(b"\x16\x03\x01\x01\x00")
        answer(sock)
    hello(door)


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\xff" * 70_000])
def test_noise_instead_of_tls_ends_only_itself(door: Door, noise: bytes) -> None:
    with closing(silent(door)) as sock:
        sock.sendall(noise)
        assert b"HTTP" not in answer(sock)
    hello(door)


def test_running_out_of_descriptors_passes(door: Door) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/proc/self/fd").iterdir()))
    waiting: list[socket.socket] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 10, hard))
        with suppress(OSError):
            while True:
                waiting.append(silent(door))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for sock in waiting:
        sock.close()
    hello(door)


def test_query_strings_reach_no_log(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    with capture_logs() as logs:
        for path in (b"/hello?PatientName=Canary", b"/nowhere?PatientName=Canary"):
            with closing(door.connect()) as sock:
                sock.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert answer(sock)
    assert "Canary" not in caplog.text + str(logs)
