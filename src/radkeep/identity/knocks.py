# SPDX-License-Identifier: Apache-2.0
"""Peers that asked for entry and were refused: for the audit log, and for "approve this device".

Invariant: however many knock, memory, audit log and database grow by a bounded amount a minute,
and one source cannot crowd out the others.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from radkeep.audit.events import Event, EventId, EventType, Outcome, event_by
from radkeep.audit.ports import AuditLog
from radkeep.domain.actor import Actor, ActorKind
from radkeep.domain.addresses import source_of
from radkeep.domain.clock import Clock
from radkeep.domain.errors import ForbiddenError
from radkeep.identity import actors, ports
from radkeep.identity.deeds import Deeds
from radkeep.identity.permissions import Permission
from radkeep.identity.records import Knock

MINUTE: Final = timedelta(minutes=1)
EACH: Final = 8  # peers told apart of one source in a minute
TOGETHER: Final = 64  # peers told apart in a minute; all others are counted together
KEEP: Final = 200  # in the registry
_MAX_TEXT: Final = 16  # characters of an AE title


class Knocks:
    """Remembers refused peers. Thread-safe; call ``flush`` each second."""

    def __init__(
        self,
        *,
        knocks: ports.KnockStore,
        organizations: ports.OrganizationStore,
        deeds: Deeds,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._knocks = knocks
        self._organizations = organizations
        self._deeds = deeds
        self._audit = audit
        self._clock = clock
        self._lock = Lock()
        self._minute = clock.now()
        self._told: set[tuple[str, str, str]] = set()  # calling, address, reason
        self._sources: Counter[str] = Counter()
        self._untold = 0
        self._waiting: dict[tuple[str, str], Knock] = {}

    def note(self, calling: str, called: str, address: str, reason: str) -> None:
        """Remember that a peer was refused and why; the first time in a minute, audit it.

        Raises:
            AuditUnavailableError: the log cannot append. The peer stays refused.
        """
        now = self._clock.now()
        knock = Knock(
            calling=_clean(calling),
            called=_clean(called),
            address=address,
            reason=reason,
            first=now,
            last=now,
            count=1,
        )
        with self._lock:
            events = self._turn(now)
            if self._admit_to_log(knock):
                events.append(_refusal(knock, now))
            else:
                self._untold += 1
        if events:
            self._audit.append(*events)

    def flush(self) -> None:
        """Write to the registry what is waiting, and to the audit log what was only counted.

        Raises:
            AuditUnavailableError: the log cannot append.
            UnavailableError, ArchiveFullError: the registry cannot be written; nothing is lost.
        """
        now = self._clock.now()
        with self._lock:
            events = self._turn(now)
            waiting = list(self._waiting.values())
        if events:
            self._audit.append(*events)
        if waiting:
            self._knocks.note(waiting, keep=KEEP)
            with self._lock:
                for knock in waiting:
                    if self._waiting.get((knock.calling, knock.address)) is knock:
                        del self._waiting[knock.calling, knock.address]

    def pending(self, actor: Actor) -> Sequence[Knock]:
        """Return refused peers, the last first.

        Who they are for is unknown: with several organizations only the host's operator sees them.

        Raises:
            ForbiddenError: ``actor`` may not manage devices, or others have a right to them too.
        """
        deed = "device.pending"
        self._deeds.require(
            actor, Permission.DEVICE_MANAGE, organization=actor.organization, deed=deed
        )
        if actor.kind is not ActorKind.LOCAL and len(self._organizations.all()) > 1:
            self._deeds.refused(actor, deed, "several organizations")
            raise ForbiddenError("with several organizations only the host's operator sees these")
        return self._knocks.all()

    def registered(self, calling: str) -> None:
        """Forget the refusals of a device that is registered now."""
        self._knocks.forget(calling)

    def _admit_to_log(self, knock: Knock) -> bool:
        """Tell whether this knock is audited by itself; and let it wait for the registry."""
        key = (knock.calling, knock.address, knock.reason)
        place = source_of(knock.address)
        fresh = key not in self._told
        if fresh and (self._sources[place] >= EACH or len(self._told) >= TOGETHER):
            return False
        held = self._waiting.get(key[:2])
        if held is not None:
            self._waiting[key[:2]] = replace(knock, first=held.first, count=held.count + 1)
        elif len(self._waiting) < KEEP:  # full only while the registry cannot be written
            self._waiting[key[:2]] = knock
        if fresh:
            self._told.add(key)
            self._sources[place] += 1
        return fresh

    def _turn(self, now: datetime) -> list[Event]:
        """Begin a new minute if it is time, and return what is to be said of the last one."""
        if timedelta() <= now - self._minute < MINUTE:
            return []
        untold, self._untold = self._untold, 0
        self._minute = now
        self._told.clear()
        self._sources.clear()
        if not untold:
            return []
        stranger = actors.stranger("", kind=ActorKind.DEVICE)
        return [_event(stranger, now, untold, reason="further refusals within a minute")]


def _refusal(knock: Knock, now: datetime) -> Event:
    stranger = actors.stranger(knock.address, name=knock.calling, kind=ActorKind.DEVICE)
    return _event(stranger, now, 1, reason=knock.reason, called=knock.called)


def _event(actor: Actor, now: datetime, count: int, **detail: str) -> Event:
    return event_by(
        actor,
        EventId.SECURITY_ALERT,
        time=now,
        type=EventType.NODE_AUTHENTICATION,
        outcome=Outcome.MINOR_FAILURE,
        count=count,
        detail=detail,
    )


def _clean(text: str) -> str:
    """Return a peer's text as it may stand in a list: short and printable."""
    return "".join(c if c.isprintable() else "?" for c in text.strip(" ")[:_MAX_TEXT])
