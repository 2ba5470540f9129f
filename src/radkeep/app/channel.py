# SPDX-License-Identifier: Apache-2.0
"""Messages between our own processes over inherited socket pairs.

Invariant: a channel has no name in the file system, so whoever holds an end was given it by the
supervisor. One SOCK_SEQPACKET packet is one message; a dead peer fails every waiting request.
"""

import errno
import itertools
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

import msgspec
from msgspec import Raw

from radkeep.domain.errors import RadkeepError, UnavailableError

MAX_MESSAGE: Final = 128 << 10  # bytes of one packet; the kernel's default send buffer holds it


class Message(msgspec.Struct, frozen=True, array_like=True):
    """One request, answer or notice."""

    id: int  # 0: a notice that expects no answer
    kind: str
    body: Raw = Raw(b"\xc0")  # msgpack
    error: str = ""  # of an answer: why it failed, safe to show


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new channel."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MAX_MESSAGE)
    return ends


def send(end: socket.socket, message: Message) -> None:
    """Send one message.

    Raises:
        UnavailableError: the peer is gone.
    """
    try:
        end.send(msgspec.msgpack.encode(message))
    except OSError as error:
        raise UnavailableError("a part of the server is not running") from error


def receive(end: socket.socket) -> Message | None:
    """Return the next message, or None when the peer is gone."""
    try:
        packet = end.recv(MAX_MESSAGE)
    except ConnectionError:
        return None
    return msgspec.msgpack.decode(packet, type=Message) if packet else None


def body(value: object) -> Raw:
    """Return ``value`` encoded as a message body."""
    return Raw(msgspec.msgpack.encode(value))


class Client:
    """Sends requests and hands each answer to its future. Thread-safe."""

    def __init__(self, end: socket.socket, name: str) -> None:
        self._end = end
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Raw]] = {}
        self._gone = False
        self._when_gone: Callable[[], object] | None = None
        self._reader = threading.Thread(target=self._read, name=f"channel-{name}", daemon=True)
        self._reader.start()

    def request(self, kind: str, value: object) -> "Future[Raw]":
        """Send a request and return at once.

        The future's error is UnavailableError when the peer is gone or says that it failed.
        """
        answer: Future[Raw] = Future()
        number = next(self._ids)
        with self._lock:
            if self._gone:
                answer.set_exception(UnavailableError("a part of the server is not running"))
                return answer
            self._waiting[number] = answer
        try:
            send(self._end, Message(number, kind, body(value)))
        except RadkeepError as error:
            with self._lock:
                self._waiting.pop(number, None)
            answer.set_exception(error)
        return answer

    def notify(self, kind: str, value: object) -> None:
        """Send a notice.

        Raises:
            UnavailableError: the peer is gone.
        """
        send(self._end, Message(0, kind, body(value)))

    def when_gone(self, action: Callable[[], object]) -> None:
        """Call ``action`` once when the peer hangs up, or now if it did already."""
        with self._lock:
            self._when_gone = action
            gone = self._gone
        if gone:
            action()

    def close(self) -> None:
        """Hang up; waiting requests fail."""
        try:
            self._end.shutdown(socket.SHUT_RDWR)
        except OSError as error:  # the peer hung up first
            if error.errno != errno.ENOTCONN:
                raise
        self._reader.join(timeout=5)
        self._end.close()

    def _read(self) -> None:
        while (message := receive(self._end)) is not None:
            with self._lock:
                answer = self._waiting.pop(message.id, None)
            if answer is None:
                continue
            if message.error:
                answer.set_exception(UnavailableError(message.error))
            else:
                answer.set_result(message.body)
        with self._lock:
            self._gone = True
            waiting, self._waiting = list(self._waiting.values()), {}
            action = self._when_gone
        if action is not None:
            action()
        for answer in waiting:
            answer.set_exception(UnavailableError("a part of the server stopped"))


def decode(raw: Raw, of: type[Any]) -> Any:  # noqa: ANN401 - msgspec checks it
    """Return a message body as a value of type ``of``."""
    return msgspec.msgpack.decode(raw, type=of)
