# SPDX-License-Identifier: Apache-2.0
"""Messages between our own processes over inherited socket pairs.

Invariant: a channel has no name in the file system, so whoever holds an end was given it by the
supervisor. One SOCK_SEQPACKET packet is one message, never a part of one; a peer that dies or
babbles fails every waiting request.
"""

import errno
import itertools
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

import msgspec
import structlog
from msgspec import Raw

from radkeep.domain.errors import (
    IntegrityError,
    RadkeepError,
    TooLargeError,
    UnavailableError,
)

MAX_MESSAGE: Final = 128 << 10  # bytes of one packet; the kernel's default send buffer holds it
_log = structlog.get_logger()


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
        TooLargeError: more than MAX_MESSAGE bytes; nothing was sent.
        UnavailableError: the peer is gone.
    """
    packet = msgspec.msgpack.encode(message)
    if len(packet) > MAX_MESSAGE:
        raise TooLargeError("a message between parts of the server is too long")
    try:
        end.send(packet)
    except OSError as error:
        raise UnavailableError("a part of the server is not running") from error


def receive(end: socket.socket) -> Message | None:
    """Return the next message, or None when the peer is gone.

    Raises:
        IntegrityError: what came is not a message, or longer than one may be.
        BlockingIOError: nothing waits, and ``end`` does not block.
        TimeoutError: nothing came in the time that ``end`` was given.
    """
    try:
        packet, _, flags, _ = end.recvmsg(MAX_MESSAGE)
    except ConnectionError:
        return None
    if flags & socket.MSG_TRUNC:
        raise IntegrityError("a message between parts of the server is too long")
    message: Message | None = decode(Raw(packet), Message) if packet else None
    return message


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

        The future's error is UnavailableError when the peer is gone or says that it failed, and
        TooLargeError when ``value`` is over MAX_MESSAGE.
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
                waiting = self._waiting.pop(number, None)
            if waiting is not None:  # else the reader saw the peer go and has told
                waiting.set_exception(error)
        return answer

    def notify(self, kind: str, value: object) -> None:
        """Send a notice.

        Raises:
            UnavailableError: the peer is gone.
        """
        send(self._end, Message(0, kind, body(value)))

    def is_alive(self) -> bool:
        """Tell whether the peer still holds its end."""
        return not self._gone

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

    def _next(self) -> Message | None:
        try:
            return receive(self._end)
        except IntegrityError:  # no later answer of such a peer can be believed
            _log.exception("channel.garbled", thread=self._reader.name)
            return None

    def _read(self) -> None:
        while (message := self._next()) is not None:
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
    """Return a message body as a value of type ``of``.

    Raises:
        IntegrityError: it is not one.
    """
    try:
        return msgspec.msgpack.decode(raw, type=of)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IntegrityError("a message between parts of the server is damaged") from error
