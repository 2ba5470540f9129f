# SPDX-License-Identifier: Apache-2.0
"""HTTP listeners of one process, on one event loop.

Invariant: a listener answers from the moment ``serve`` says so until it is told to stop, then
finishes what it began; query strings reach no log.
"""

import asyncio
import os
import socket
import ssl
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from radkeep.web.kit.connection import Connection
from radkeep.web.kit.lobby import BACKLOG, Lobby

SHUTDOWN_SECONDS: Final = 10  # for requests that are under way
KEEP_ALIVE_SECONDS: Final = 75  # idle browsers; more than their own 60 saves a handshake
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One socket and what answers there."""

    sock: socket.socket  # bound, not yet listening
    application: ASGIApp
    tls: ssl.SSLContext | None = None  # only the control socket goes without


def bind_tcp(host: str, port: int) -> socket.socket:
    """Return a socket bound to ``host`` and ``port``; 0 lets the system choose.

    Raises:
        OSError: the address is taken or not ours.
    """
    family, kind, proto, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def bind_unix(path: Path) -> socket.socket:
    """Return a socket at ``path`` that only this user may reach; a dead one is replaced.

    The caller holds the data directory's lock, so no other server can be listening.

    Raises:
        OSError: something else lies there, or the directory is not writable.
    """
    if path.exists() and stat.S_ISSOCK(path.lstat().st_mode):
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
        path.chmod(_PRIVATE)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock


async def serve(
    listeners: Sequence[Listener], *, stop: asyncio.Event, ready: Callable[[], None]
) -> None:
    """Answer on every listener until ``stop``; call ``ready`` once when all of them do."""
    servers = [_Server(listener) for listener in listeners]
    tasks = [asyncio.create_task(server.run_one()) for server in servers]
    tasks.append(asyncio.create_task(_tell(servers, ready)))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([stopping, *tasks[:-1]], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)


async def _tell(servers: "Sequence[_Server]", ready: Callable[[], None]) -> None:
    for server in servers:
        await server.listening.wait()
    if all(server.started for server in servers):
        ready()


class _Server(uvicorn.Server):
    """uvicorn without signals of its own, and with deadlines for TLS."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(
            uvicorn.Config(
                listener.application,
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",  # our own routes log; its words hold addresses and queries
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )
        self.listening: Final = asyncio.Event()
        self._listener = listener

    async def run_one(self) -> None:
        """Serve until ``should_exit``."""
        try:
            await self.serve(sockets=[self._listener.sock])
        finally:
            self.listening.set()

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        listener = self._listener

        def connection() -> Connection:
            return Connection(self.config, self.server_state, self.lifespan.state, loop)

        server: asyncio.Server | Lobby
        if listener.tls is not None:
            server = Lobby(listener.sock, connection, listener.tls)
        elif listener.sock.family == socket.AF_UNIX:
            server = await loop.create_unix_server(connection, sock=listener.sock, backlog=BACKLOG)
        else:
            server = await loop.create_server(connection, sock=listener.sock, backlog=BACKLOG)
        self.servers = [server]  # type: ignore[list-item] # a Lobby closes like a server
        self.started = True
        self.listening.set()

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process."""
        yield
