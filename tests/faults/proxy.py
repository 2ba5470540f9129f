# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that misbehaves on demand: the network, cut at a byte of our choice.

Invariant: what it forwards is forwarded unchanged and in order up to the byte where a fault
strikes; a direction without a fault is not disturbed.
"""

import enum
import select
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

_BLOCK = 65_536
_TURN = 0.02  # seconds between looks at whether we are closed


class Deed(enum.Enum):
    """What happens at the fatal byte."""

    CLOSE = enum.auto()  # both ends see an orderly end
    RESET = enum.auto()  # both ends see RST
    SILENCE = enum.auto()  # nothing is forwarded any more, nobody hears of it
    SLOW = enum.auto()  # one byte each ``interval``
    HOLD = enum.auto()  # nothing, until ``Proxy.resume`` is set


@dataclass(frozen=True)
class Fault:
    """One direction's fate."""

    deed: Deed
    after: int = 0  # bytes that still pass
    interval: float = 0.0  # seconds a byte


class Proxy:
    """Listens on loopback and forwards to ``target``; ``up`` and ``down`` hold from the next link.

    ``up`` strikes what the connecting side sends, ``down`` what it is sent.
    """

    def __init__(
        self,
        target: tuple[str, int],
        *,
        up: Fault | None = None,
        down: Fault | None = None,
        once: bool = False,
    ) -> None:
        """Strike every link, or only the first if ``once``."""
        self.target, self.up, self.down, self.once = target, up, down, once
        self.struck = threading.Event()  # a fault has struck
        self.resume = threading.Event()
        self.links = 0  # accepted so far
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_TURN)
        self._threads = [threading.Thread(target=self._accept, name="proxy")]

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect."""
        host, port = self._listener.getsockname()
        return host, port

    def heal(self) -> None:
        """Disturb no link from now on."""
        self.up = self.down = None

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.resume.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            try:
                far = socket.create_connection(self.target, 10)
            except OSError:
                near.close()
                continue
            self.links += 1
            if self.once and self.links > 1:
                self.heal()
            pair = _Pair(near, far)
            for source, sink, fault in ((near, far, self.up), (far, near, self.down)):
                sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                thread = threading.Thread(target=self._pump, args=(pair, source, sink, fault))
                self._threads.append(thread)
                thread.start()

    def _pump(
        self, pair: "_Pair", source: socket.socket, sink: socket.socket, fault: Fault | None
    ) -> None:
        """Forward one direction until it ends or its fault does away with it."""
        with pair:
            try:
                self._forward(pair, source, sink, fault)
            except OSError:  # the other end is gone, so the near end has to hear of it
                pair.end(reset=True)

    def _forward(
        self, pair: "_Pair", source: socket.socket, sink: socket.socket, fault: Fault | None
    ) -> None:
        passed = 0
        while not (self._closing.is_set() or pair.over.is_set()):
            if not select.select([source], [], [], _TURN)[0]:
                continue
            data = source.recv(_BLOCK)
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            if fault is None or passed + len(data) <= fault.after:
                sink.sendall(data)
            else:
                border = fault.after - passed
                sink.sendall(data[:border])
                if not self._strike(pair, sink, fault, data[border:]):
                    return
                slow = fault.deed is Deed.SLOW
                fault = Fault(Deed.SLOW, 0, fault.interval) if slow else None
            passed += len(data)

    def _strike(self, pair: "_Pair", sink: socket.socket, fault: Fault, rest: bytes) -> bool:
        """Do the deed to ``rest``; return whether the direction goes on."""
        self.struck.set()
        match fault.deed:
            case Deed.CLOSE:
                pair.end(reset=False)
            case Deed.RESET:
                pair.end(reset=True)
            case Deed.SILENCE:
                while not (self._closing.wait(_TURN) or pair.over.is_set()):
                    pass
            case Deed.HOLD:
                self.resume.wait()
                sink.sendall(rest)
                return True
            case Deed.SLOW:
                for at in range(len(rest)):
                    if self._closing.wait(fault.interval):
                        return False
                    sink.sendall(rest[at : at + 1])
                return True
        return False


class _Pair:
    """The two sockets of a link, closed by whichever direction ends last.

    Nobody closes a socket that the other thread may still look at: its number could be another's.
    """

    def __init__(self, *sockets: socket.socket) -> None:
        self.over = threading.Event()  # both directions have to end now
        self._sockets = sockets
        self._users = 2
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            for each in self._sockets:
                each.close()

    def end(self, *, reset: bool) -> None:
        """End both directions, by FIN or by RST."""
        for each in self._sockets:
            with suppress(OSError):
                if reset:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    each.shutdown(socket.SHUT_RDWR)
        self.over.set()
