# SPDX-License-Identifier: Apache-2.0
"""The audit log as every process but the keeper sees it.

Invariant: an index is given only after the keeper, or this process in its place, has the entry on
disk; no event is refused for its length.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Final

import msgspec
from msgspec import Raw

from radkeep.app import channel
from radkeep.app.channel import Client
from radkeep.audit.events import MAX_EVENT_BYTES, Event
from radkeep.audit.log import LogWriter
from radkeep.audit.records import clipped
from radkeep.domain.errors import AuditUnavailableError, RadkeepError

DEADLINE: Final = 5.0  # seconds
_ROOM: Final = channel.MAX_MESSAGE - 1024  # bytes of events in one message


class KeeperLog:
    """An AuditLog over a channel to the keeper. Thread-safe."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit(self, events: Sequence[Event]) -> Future[tuple[int, ...]]:
        """Send ``events``, in as many messages as they need, and return at once."""
        return _joined([self._client.request("append", part) for part in _messages(events)])

    def append(self, *events: Event) -> tuple[int, ...]:
        """Append ``events`` and return their indices once they are durable."""
        try:
            return self.submit(events).result(DEADLINE)
        except TimeoutError:
            raise AuditUnavailableError("the audit log does not answer") from None


class DirectLog:
    """An AuditLog of a command that holds the data directory's lock and is keeper itself."""

    def __init__(self, writer: LogWriter, process: str) -> None:
        self._writer = writer
        self._process = process

    def submit(self, events: Sequence[Event]) -> Future[tuple[int, ...]]:
        """Append ``events`` at once."""
        indices: Future[tuple[int, ...]] = Future()
        try:
            indices.set_result(self._writer.append([(self._process, event) for event in events]))
        except AuditUnavailableError as error:
            indices.set_exception(error)
        return indices

    def append(self, *events: Event) -> tuple[int, ...]:
        """Append ``events`` and return their indices once they are durable."""
        return self.submit(events).result()


def _messages(events: Sequence[Event]) -> Iterator[list[Raw]]:
    """Yield ``events`` encoded, as many together as one message holds; at least one group."""
    part: list[Raw] = []
    size = 0
    for raw in map(_encoded, events):
        if part and size + len(raw) > _ROOM:
            yield part
            part, size = [], 0
        part.append(Raw(raw))
        size += len(raw)
    yield part


def _encoded(event: Event) -> bytes:
    """Return ``event`` encoded; one that is too long loses the ends of its values."""
    try:
        raw = msgspec.msgpack.encode(event)
    except UnicodeEncodeError:  # a lone surrogate; text from outside may hold anything
        raw = b""
    if raw and len(raw) <= MAX_EVENT_BYTES:
        return raw
    return msgspec.msgpack.encode(clipped(event))


def _joined(answers: "list[Future[Raw]]") -> Future[tuple[int, ...]]:
    """Return the indices of all ``answers``, in their order."""
    indices: Future[tuple[int, ...]] = Future()
    found: list[int] = []
    rest = iter(answers)

    def take(answer: "Future[Raw]") -> None:  # one after the other, so never two at once
        try:
            found.extend(channel.decode(answer.result(), tuple[int, ...]))
        except RadkeepError:
            indices.set_exception(AuditUnavailableError("the audit log cannot append"))
            return
        following = next(rest, None)
        if following is None:
            indices.set_result(tuple(found))
        else:
            following.add_done_callback(take)

    next(rest).add_done_callback(take)
    return indices
