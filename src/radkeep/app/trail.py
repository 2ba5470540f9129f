# SPDX-License-Identifier: Apache-2.0
"""Reading the audit log: who may, what they see, and the entry that says they did.

Invariant: the reading is in the log before anything is returned (PS3.15 Section A.5.3.2), and only
the keeper, or a command in its place, opens payloads.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from radkeep.app import channel
from radkeep.app.channel import Client
from radkeep.audit.events import Action, Event, EventId, event_by
from radkeep.audit.ports import AuditLog
from radkeep.audit.reader import LogReader
from radkeep.domain.actor import Actor, ActorKind
from radkeep.domain.clock import Clock
from radkeep.domain.errors import UnavailableError
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import Policy

PAGE: Final = 32  # entries in one answer of the keeper
MAX_PAGE_BYTES: Final = 96 << 10  # of their events; the largest event is MAX_EVENT_BYTES
_DEADLINE: Final = 10.0  # seconds


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """A page of the log, counted from its end."""

    before: int  # index behind the last one wanted; -1 for the end
    count: int


class Told(msgspec.Struct, frozen=True, array_like=True):
    """One entry of a page."""

    index: int
    process: str
    event: Event


ReadPage = Callable[[Asked], Sequence[Told]]


def read_page(reader: LogReader, asked: Asked) -> list[Told]:
    """Return a page of the log, the oldest first; none only if nothing lies further back.

    It has fewer entries than asked for when they are long or erased.

    Raises:
        IntegrityError: an entry is damaged or missing.
    """
    size = reader.size()
    end = size if asked.before < 0 else min(asked.before, size)
    count = min(max(asked.count, 1), PAGE)
    found: list[Told] = []
    while end > 0 and not found:  # a whole page of entries may have been erased
        start = max(end - count, 0)
        found = list(_between(reader, start, end))
        end = start
    return _fitting(found)


def _between(reader: LogReader, start: int, end: int) -> Iterator[Told]:
    for entry in reader.read(start):
        if entry.number >= end:
            return
        yield Told(entry.number, entry.process, entry.event)


def _fitting(page: list[Told]) -> list[Told]:
    """Return the last entries of ``page``, as many as one message holds."""
    room = MAX_PAGE_BYTES
    for position in range(len(page) - 1, -1, -1):
        room -= len(msgspec.msgpack.encode(page[position]))
        if room < 0:
            return page[position + 1 :] or page[-1:]
    return page


def ask_keeper(client: Client) -> ReadPage:
    """Return a reader that asks the keeper."""

    def read(asked: Asked) -> Sequence[Told]:
        try:
            answer = client.request("read", asked).result(_DEADLINE)
        except TimeoutError:
            raise UnavailableError("the audit log does not answer") from None
        told: list[Told] = channel.decode(answer, list[Told])
        return told

    return read


class Trail:
    """The audit log as its readers may see it. Thread-safe."""

    def __init__(self, read: ReadPage, *, policy: Policy, audit: AuditLog, clock: Clock) -> None:
        self._read = read
        self._policy = policy
        self._audit = audit
        self._clock = clock

    def tail(self, actor: Actor, count: int) -> Sequence[tuple[int, str, Event]]:
        """Return index, process and event of the last entries, the oldest first.

        Only those of the actor's organization, unless it serves all; the host's operator sees what
        belongs to none, too: starts, strangers at the doors.

        Raises:
            ForbiddenError: ``actor`` may not read the audit log.
            IntegrityError: the log is damaged.
            UnavailableError: the keeper does not answer.
        """
        self._policy.require(actor, Permission.AUDIT_READ, organization=actor.organization)
        self._audit.append(
            event_by(actor, EventId.AUDIT_LOG_USED, time=self._clock.now(), action=Action.READ)
        )
        organization = actor.organization
        everything = not organization or actor.kind is ActorKind.LOCAL
        found: list[tuple[int, str, Event]] = []
        before = -1
        while len(found) < count and before != 0:
            page = self._read(Asked(before, PAGE))
            if not page:
                break
            mine = [each for each in page if everything or each.event.organization == organization]
            found[:0] = [(each.index, each.process, each.event) for each in mine]
            before = page[0].index
        return found[-count:] if count else []
