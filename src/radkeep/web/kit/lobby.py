# SPDX-License-Identifier: Apache-2.0
"""Where connections wait until they say something.

Invariant: a silent connection costs a descriptor and no TLS; when the lobby or the handshakes are
full, the oldest of the busiest source goes, never the newcomer. Running out of descriptors stops
nothing for longer than a moment.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from radkeep.domain.addresses import source_of
from radkeep.domain.crowd import Crowd

BACKLOG: Final = 1_024
MAX_SILENT: Final = 8_192
SILENT_SECONDS: Final = 60.0  # browsers open connections ahead of need
MAX_HANDSHAKES: Final = 256
HANDSHAKE_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 0.2  # after the system had no descriptor left
SWEEP_SECONDS: Final = 1.0
_BURST: Final = 128  # connections accepted in one turn of the loop
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Lobby:
    """Accepts on one listening TCP socket. Has the shape of ``asyncio.Server`` for its owner."""

    def __init__(
        self, sock: socket.socket, protocol: Callable[[], asyncio.Protocol], tls: ssl.SSLContext
    ) -> None:
        self._sock = sock
        self._protocol = protocol
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._silent: Crowd[socket.socket] = Crowd(MAX_SILENT)
        self._since: dict[socket.socket, float] = {}  # of the silent: when they came
        self._shaking: Crowd[asyncio.Task[object]] = Crowd(MAX_HANDSHAKES)
        self._timers: list[asyncio.TimerHandle] = []
        sock.settimeout(0)
        sock.listen(BACKLOG)
        self._listen()
        self._sweep()

    def close(self) -> None:
        """Stop accepting and turn out everybody who has not got through."""
        for timer in self._timers:
            timer.cancel()
        self._loop.remove_reader(self._sock)
        for sock in self._silent.members():
            self._turn_out(sock)
        for task in self._shaking.members():
            task.cancel()

    async def wait_closed(self) -> None:
        """Return when the last handshake is over."""
        await asyncio.gather(*self._shaking.members(), return_exceptions=True)

    def _listen(self) -> None:
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(_BURST):
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._loop.remove_reader(self._sock)
                leaver = self._silent.leaver()
                if leaver is not None:
                    self._turn_out(leaver)
                self._later(RETRY_SECONDS, self._listen)
                return
            sock.settimeout(0)
            self._since[sock] = self._loop.time()
            self._loop.add_reader(sock, self._spoke, sock)
            leaver = self._silent.add(sock, source_of(str(address[0])))
            if leaver is not None:
                self._turn_out(leaver)

    def _spoke(self, sock: socket.socket) -> None:
        self._loop.remove_reader(sock)
        source = self._silent.discard(sock)
        del self._since[sock]
        shake = self._loop.connect_accepted_socket(
            self._protocol,
            sock,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=HANDSHAKE_SECONDS,
        )
        task: asyncio.Task[object] = self._loop.create_task(shake)
        leaver = self._shaking.add(task, source)
        task.add_done_callback(partial(self._shaken, sock))
        if leaver is not None:
            leaver.cancel()

    def _shaken(self, sock: socket.socket, task: "asyncio.Task[object]") -> None:
        self._shaking.discard(task)
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:
            sock.close()
        if error is not None and not isinstance(error, OSError):  # ssl.SSLError, TimeoutError are
            structlog.get_logger().error("handshake.failed", error=type(error).__qualname__)

    def _sweep(self) -> None:
        too_old = self._loop.time() - SILENT_SECONDS
        while (oldest := self._silent.oldest()) and self._since[oldest] <= too_old:
            self._turn_out(oldest)
        self._later(SWEEP_SECONDS, self._sweep)

    def _turn_out(self, sock: socket.socket) -> None:
        self._loop.remove_reader(sock)
        self._silent.discard(sock)
        del self._since[sock]
        sock.close()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        now = self._loop.time()
        self._timers = [each for each in self._timers if each.when() > now]
        self._timers.append(self._loop.call_later(seconds, action))
