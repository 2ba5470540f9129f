# SPDX-License-Identifier: Apache-2.0
"""One HTTP/1.1 connection with the limits that uvicorn leaves to others.

Invariant: a peer that is silent, dribbles, never reads or never ends its headers loses its
connection within a bounded time, and holds a bounded amount of memory until then.
"""

import asyncio
import os
import socket
import struct
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast

from typing_extensions import override
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from radkeep.domain.addresses import source_of
from radkeep.web.kit.authentication import PEER

HEAD_SECONDS: Final = 10.0  # from the first byte to the end of the headers
MAX_HEAD_BYTES: Final = 32 << 10  # request line and headers
FAREWELL_SECONDS: Final = 0.5  # at shutdown, for an idle peer to hang up
LINGER_SECONDS: Final = 5.0  # for a body that is still coming after its answer
STALL_SECONDS: Final = 60.0  # without a byte taken by a peer that owes us reading
MAX_CONNECTIONS: Final = 2_048
_UCRED: Final = struct.Struct("3i")  # pid, uid, gid: unix(7)


class Connection(HttpToolsProtocol):
    """Reads requests and writes responses of one peer."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.opened: float = 0.0
        self.source: str = ""
        self._peer: int | None = None
        self._head_bytes = 0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._unread = 0  # bytes waiting for the peer when it was looked at last

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self.opened = self.loop.time()
        self.source = source_of(self.client[0] if self.client else "")
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            self._peer = peer_uid(sock)
            if self._peer not in (0, os.getuid()):
                transport.abort()
                return
        if len(self.connections) > MAX_CONNECTIONS:
            self._victim().transport.abort()
        self._start("head", HEAD_SECONDS, self._close)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        for name in list(self._timers):
            self._stop(name)
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self.is_idle and "head" not in self._timers:
            self._start("head", HEAD_SECONDS, self._close)
        if "head" in self._timers:
            self._head_bytes += len(data)
        super().data_received(data)
        if "head" in self._timers and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._peer is not None:
            self.scope["extensions"] = {PEER: {"uid": self._peer}}

    @override
    def on_headers_complete(self) -> None:
        self._stop("head")
        self._head_bytes = 0
        super().on_headers_complete()

    @override
    def on_message_complete(self) -> None:
        self._stop("linger")
        super().on_message_complete()

    @override
    def on_response_complete(self) -> None:
        cycle = self._cycle
        if cycle is not None and cycle.more_body:
            self._start("linger", LINGER_SECONDS, self._close)
        super().on_response_complete()

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._start("stall", STALL_SECONDS, self._check_reading)

    @override
    def resume_writing(self) -> None:
        self._stop("stall")
        super().resume_writing()

    @override
    def shutdown(self) -> None:
        """Finish what is being answered; hang up on who only keeps the line open.

        TLS would wait for the peer's own farewell, which an idle browser does not send.
        """
        super().shutdown()
        if self.is_idle:
            self._start("abort", FAREWELL_SECONDS, self.transport.abort)

    @property
    def is_idle(self) -> bool:
        """Tell whether no request is being answered."""
        cycle = self._cycle
        return cycle is None or cycle.response_complete

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        return cast("RequestResponseCycle | None", self.cycle)  # None until the first request

    @property
    def owes_body(self) -> bool:
        """Tell whether a request's body is still to come."""
        cycle = self._cycle
        return cycle is not None and cycle.more_body

    def _victim(self) -> "Connection":
        """Return the connection that has waited longest, of the source that has most.

        Idle ones go first. Where none is, those whose request is not complete go: else whoever
        begins enough requests and ends none would keep everybody else out.
        """
        others = [each for each in self.connections if isinstance(each, Connection)]
        others.remove(self)
        waiting = [each for each in others if each.is_idle] or [
            each for each in others if each.owes_body
        ]
        if not waiting:
            return self
        sizes = Counter(each.source for each in waiting)
        return min(waiting, key=lambda each: (-sizes[each.source], each.opened))

    def _check_reading(self) -> None:
        unread = self.transport.get_write_buffer_size()
        if unread >= self._unread:
            self.transport.abort()
            return
        self._unread = unread
        self._start("stall", STALL_SECONDS, self._check_reading)

    def _refuse(self, status: HTTPStatus) -> None:
        self.transport.write(
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "content-length: 0\r\nconnection: close\r\n\r\n".encode("ascii")
        )
        self._close()

    def _close(self) -> None:
        self.transport.close()
        # Closing waits for what is unsent; a peer that does not read it must not hold us.
        self._start("abort", LINGER_SECONDS, self.transport.abort)

    def _start(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        self._stop(name)
        self._timers[name] = self.loop.call_later(seconds, self._fire, name, action)

    def _fire(self, name: str, action: Callable[[], None]) -> None:
        self._timers.pop(name, None)
        action()

    def _stop(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def peer_uid(sock: socket.socket) -> int:
    """Return the user at the other end of a Unix socket, as the kernel knows it."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[1])
