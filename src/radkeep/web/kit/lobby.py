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
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeVar

import structlog

BACKLOG: Final = 1_024
MAX_SILENT: Final = 8_192
SILENT_SECONDS: Final = 60.0  # browsers open connections ahead of need
MAX_HANDSHAKES: Final = 256
HANDSHAKE_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 0.2  # after the system had no descriptor left
SWEEP_SECONDS: Final = 1.0
_BURST: Final = 128  # connections accepted in one turn of the loop
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_K = TypeVar("_K")


class Lobby:
    """Accepts on one listening TCP socket. Has the shape of ``asyncio.Server`` for its owner."""

    def __init__(
        self, sock: socket.socket, protocol: Callable[[], asyncio.Protocol], tls: ssl.SSLContext
    ) -> None:
        self._sock = sock
        self._protocol = protocol
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._silent: dict[socket.socket, tuple[str, float]] = {}  # source and since when
        self._shaking: dict[asyncio.Task[object], tuple[str, float]] = {}
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
        for sock in list(self._silent):
            self._turn_out(sock)
        for task in self._shaking:
            task.cancel()

    async def wait_closed(self) -> None:
        """Return when the last handshake is over."""
        await asyncio.gather(*self._shaking, return_exceptions=True)

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
                if self._silent:
                    self._turn_out(_oldest_of_busiest(self._silent))
                self._later(RETRY_SECONDS, self._listen)
                return
            sock.settimeout(0)
            if len(self._silent) >= MAX_SILENT:
                self._turn_out(_oldest_of_busiest(self._silent))
            self._silent[sock] = (str(address[0]), self._loop.time())
            self._loop.add_reader(sock, self._spoke, sock)

    def _spoke(self, sock: socket.socket) -> None:
        self._loop.remove_reader(sock)
        source, _ = self._silent.pop(sock)
        if len(self._shaking) >= MAX_HANDSHAKES:
            victim = _oldest_of_busiest(self._shaking)
            del self._shaking[victim]
            victim.cancel()
        shake = self._loop.connect_accepted_socket(
            self._protocol,
            sock,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=HANDSHAKE_SECONDS,
        )
        task: asyncio.Task[object] = self._loop.create_task(shake)
        self._shaking[task] = (source, self._loop.time())
        task.add_done_callback(partial(self._shaken, sock))

    def _shaken(self, sock: socket.socket, task: "asyncio.Task[object]") -> None:
        self._shaking.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:
            sock.close()
        if error is not None and not isinstance(error, OSError):  # ssl.SSLError, TimeoutError are
            structlog.get_logger().error("handshake.failed", error=type(error).__qualname__)

    def _sweep(self) -> None:
        too_old = self._loop.time() - SILENT_SECONDS
        for sock, (_, since) in list(self._silent.items()):
            if since > too_old:
                break  # in the order of their coming
            self._turn_out(sock)
        self._later(SWEEP_SECONDS, self._sweep)

    def _turn_out(self, sock: socket.socket) -> None:
        self._loop.remove_reader(sock)
        del self._silent[sock]
        sock.close()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        now = self._loop.time()
        self._timers = [each for each in self._timers if each.when() > now]
        self._timers.append(self._loop.call_later(seconds, action))


def _oldest_of_busiest(waiting: Mapping[_K, tuple[str, float]]) -> _K:
    sizes = Counter(source for source, _ in waiting.values())
    return min(waiting, key=lambda each: (-sizes[waiting[each][0]], waiting[each][1]))
