# SPDX-License-Identifier: Apache-2.0
"""The keeper: the one process that writes and signs the audit log.

Invariant: an index is answered only after its entry is durable; the name of the sending process
comes from the channel, never from the message. While the disk is full it refuses, and with it
everything that must be audited; after a failed sync it stops, so that nothing unaudited goes on.
A process that babbles loses its channel, and with it every deed.
"""

import array
import selectors
import signal
import socket
from pathlib import Path
from typing import Final

import msgspec
import structlog

from radkeep.app import channel
from radkeep.app.boot import Ready
from radkeep.app.channel import Message
from radkeep.app.trail import Asked, read_page
from radkeep.audit.events import Event, EventId, EventType, event_by
from radkeep.audit.log import LogWriter
from radkeep.audit.reader import LogReader
from radkeep.crypto.sign import SigningKey
from radkeep.domain.clock import SystemClock
from radkeep.domain.errors import AuditUnavailableError, IntegrityError, UnavailableError
from radkeep.identity.actors import system

IDLE_SECONDS: Final = 1.0  # without a request, until the log's end is signed
MAX_GROUP: Final = 256  # messages appended and synced together
_log = structlog.get_logger()


class Boot(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor tells a new keeper."""

    directory: str
    signing_key: bytes
    payload_key: bytes


class Keeper:
    """Serves append requests of every process."""

    def __init__(self, control: socket.socket, boot: Boot) -> None:
        self._control = control
        self._log = open_log(boot, "keeper")
        key = SigningKey.from_bytes(boot.signing_key).public
        self._reader = LogReader(Path(boot.directory), boot.payload_key, key)
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, None)

    def run(self) -> None:
        """Serve until the supervisor hangs up.

        Signals are not for the keeper: a terminal or a service manager sends them to every process
        at once, and the doors have something to tell until they end.
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        channel.send(self._control, Message(0, "ready", channel.body(Ready())))
        alive = True
        while alive:
            group: list[tuple[socket.socket, str, Message]] = []
            ready = self._selector.select(IDLE_SECONDS)
            if not ready:
                self._checkpoint()
            for key, _ in ready:
                end = key.fileobj
                if not isinstance(end, socket.socket):
                    continue
                if key.data is None:
                    alive = self._adopt()
                else:
                    self._collect(end, key.data, group)
            self._answer(group)
        self._log.close()

    def _checkpoint(self) -> None:
        """Sign what no later entry came to cover."""
        try:
            self._log.checkpoint()
        except AuditUnavailableError as error:
            self._refused(error)

    def _refused(self, error: AuditUnavailableError) -> None:
        """Go on after a full disk, stop after a failed one."""
        if not self._log.usable:
            raise error
        _log.error("audit.refused")

    def _adopt(self) -> bool:
        """Take a new process's channel from the supervisor; False when the supervisor is gone."""
        packet, ancillary, _, _ = self._control.recvmsg(4096, socket.CMSG_SPACE(4))
        if not packet:
            return False
        name = channel.decode(msgspec.msgpack.decode(packet, type=Message).body, str)
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                (descriptor,) = array.array("i", data)
                end = socket.socket(fileno=descriptor)
                end.settimeout(0)
                self._selector.register(end, selectors.EVENT_READ, name)
        return True

    def _collect(
        self, end: socket.socket, name: str, group: list[tuple[socket.socket, str, Message]]
    ) -> None:
        """Read what waits on one channel, so that it is synced together."""
        while len(group) < MAX_GROUP:
            try:
                message = channel.receive(end)
            except BlockingIOError:
                return
            except IntegrityError:
                self._drop(end, name)
                return
            if message is None:
                self._hang_up(end)
                return
            group.append((end, name, message))

    def _drop(self, end: socket.socket, name: str) -> None:
        """Leave a process whose messages make no sense; what this one asked for is not done."""
        _log.error("keeper.garbled", name=name)
        self._hang_up(end)

    def _hang_up(self, end: socket.socket) -> None:
        if end.fileno() >= 0:
            self._selector.unregister(end)
            end.close()

    def _answer(self, group: list[tuple[socket.socket, str, Message]]) -> None:
        requests: list[tuple[socket.socket, int, int]] = []
        readings = [each for each in group if each[2].kind == "read"]
        group = [each for each in group if each[2].kind == "append"]
        entries: list[tuple[str, Event]] = []
        for end, name, message in group:
            try:
                events: list[Event] = channel.decode(message.body, list[Event])
            except IntegrityError:
                self._drop(end, name)
                continue
            entries += [(name, event) for event in events]
            requests.append((end, message.id, len(events)))
        if requests:
            self._append_entries(entries, requests)
        for end, name, message in readings:
            self._read(end, name, message)

    def _append_entries(
        self, entries: list[tuple[str, Event]], requests: list[tuple[socket.socket, int, int]]
    ) -> None:
        try:
            indices = self._log.append(entries)
        except AuditUnavailableError as error:
            for end, number, _ in requests:
                _reply(end, Message(number, "failed", error=str(error)))
            self._refused(error)
            return
        position = 0
        for end, number, count in requests:
            answer = indices[position : position + count]
            position += count
            _reply(end, Message(number, "appended", channel.body(answer)))

    def _read(self, end: socket.socket, name: str, message: Message) -> None:
        try:
            asked: Asked = channel.decode(message.body, Asked)
        except IntegrityError:
            self._drop(end, name)
            return
        try:
            page = read_page(self._reader, asked)
            answer = Message(message.id, "page", channel.body(page))
        except IntegrityError as error:
            answer = Message(message.id, "failed", error=str(error))
        _reply(end, answer)


def open_log(boot: Boot, process: str) -> LogWriter:
    """Open the log for writing, and enter that the torn tail of a crash was cut, if one was.

    Args:
        boot: where it lies, and its keys.
        process: the keeper, or a lone command in its place.

    Raises:
        IntegrityError: the log is damaged beyond a torn tail.
        AuditUnavailableError: the disk fails.
    """
    clock = SystemClock()
    log = LogWriter(
        Path(boot.directory),
        signing=SigningKey.from_bytes(boot.signing_key),
        payload_key=boot.payload_key,
        clock=clock,
    )
    if log.cut:
        told = event_by(
            system(process),
            EventId.APPLICATION_ACTIVITY,
            time=clock.now(),
            type=EventType.RECOVERED,
            detail={"cut": f"{log.cut} entries that nobody had been told of"},
        )
        log.append([(process, told)])
    return log


def _reply(end: socket.socket, message: Message) -> None:
    if end.fileno() < 0:  # it hung up after it had asked
        return
    end.settimeout(None)
    try:
        channel.send(end, message)
    except UnavailableError:
        _log.warning("keeper.answer-lost")
    finally:
        end.settimeout(0)


def give(control: socket.socket, name: str, end: socket.socket) -> None:
    """Hand ``end``, the channel of process ``name``, to the keeper behind ``control``.

    Raises:
        UnavailableError: the keeper is gone.
    """
    message = msgspec.msgpack.encode(Message(0, "adopt", channel.body(name)))
    rights = array.array("i", [end.fileno()])
    try:
        control.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    except OSError as error:
        raise UnavailableError("the keeper is not running") from error
