# SPDX-License-Identifier: Apache-2.0
"""Counts who is where, keeps the limits and the deadlines, and shows the way out.

Invariant: no peer can take what another needs; each phase of a connection has a limit of its own,
and when it is full the busiest source makes room, never the newcomer.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from radkeep.dimse.buffers import SegmentPool
from radkeep.dimse.channel import Channel, Phase
from radkeep.dimse.descriptors import affordable
from radkeep.dimse.handshakes import Fault
from radkeep.dimse.incidents import Incidents
from radkeep.dimse.ports import Incident, Violation
from radkeep.dimse.settings import DimseSettings
from radkeep.dimse.wire.pdu import AssociateRequest
from radkeep.dimse.wire.state import State
from radkeep.domain.addresses import source_of
from radkeep.domain.crowd import Crowd

_log: Final = structlog.get_logger()


class Gate:
    """All channels of a server; lives on the event loop (``channel.Host``)."""

    def __init__(
        self,
        settings: DimseSettings,
        loop: asyncio.AbstractEventLoop,
        *,
        decide: Callable[[Channel, AssociateRequest], None],
        record: Callable[[Incident], None],
    ) -> None:
        """Let ``decide`` answer requests; ``record`` keeps violations. Neither may block."""
        self.settings = settings
        self.pool = SegmentPool()
        self.closed = False  # nobody new comes in
        self.associated: set[Channel] = set()
        self._loop, self._decide = loop, decide
        self._silent: Crowd[Channel] = Crowd(affordable(settings.silent))
        self._half_open: Crowd[Channel] = Crowd(settings.half_open)
        self._closing: Crowd[Channel] = Crowd(settings.closing)
        self._handshake_bytes = 0
        self._incidents = Incidents(record, settings.incident_interval)

    def now(self) -> float:
        """Return the loop's time in seconds."""
        return self._loop.time()

    def entered(self, channel: Channel, phase: Phase) -> None:
        """Count ``channel`` in its new phase and make room for it where needed."""
        source = source_of(channel.address)
        leaver: Channel | None = None
        self._silent.discard(channel)
        self._half_open.discard(channel)
        self.associated.discard(channel)
        if self.closed and phase in (Phase.SILENT, Phase.HALF_OPEN):
            channel.cut()
        elif phase is Phase.SILENT:
            leaver = self._silent.add(channel, source)
        elif phase is Phase.HALF_OPEN:
            leaver = self._half_open.add(channel, source)
        elif phase is Phase.ASSOCIATED:
            self.associated.add(channel)
        else:
            leaver = self._closing.add(channel, source)
        if leaver is not None:
            self._crowd_out(leaver)

    def left(self, channel: Channel) -> None:
        """Forget ``channel``."""
        for crowd in (self._silent, self._half_open, self._closing):
            crowd.discard(channel)
        self.associated.discard(channel)

    def grew(self, channel: Channel, extra: int) -> None:
        """Count request bytes; over the limit the busiest source loses its oldest request."""
        self._handshake_bytes += extra
        if extra > 0 and self._handshake_bytes > self.settings.handshake_bytes:
            self._crowd_out(self._half_open.leaver() or channel)

    def queued(self) -> int:
        """Return the bytes of all associations that ingest has not taken yet."""
        return sum(c.association.queued() for c in self.associated if c.association is not None)

    def violated(self, channel: Channel, violation: Violation, detail: str) -> None:
        """Keep the record of a violation."""
        incident = Incident(
            violation=violation,
            detail=detail,
            address=channel.address,
            actor=channel.association.actor if channel.association is not None else None,
            session=channel.session,
        )
        self._incidents.note(incident, self.now())

    def unshaken(self, channel: Channel, fault: Fault) -> None:
        """Keep the record of a TLS handshake that failed."""
        self.violated(channel, Violation.NO_TLS, fault.value)

    def asked(self, channel: Channel, request: AssociateRequest) -> None:
        """Pass on an association request."""
        self._decide(channel, request)

    def close(self) -> None:
        """Let nobody in any more; cut whoever is not associated."""
        self.closed = True
        for channel in (*self._silent.members(), *self._half_open.members()):
            channel.cut()

    def withdraw(self, channel: Channel) -> None:
        """Abort an association whose peer would not be admitted any more."""
        if channel not in self.associated:
            return
        _log.info("dimse.withdrawn", address=channel.address, session=channel.session)
        self.violated(
            channel,
            Violation.WITHDRAWN,
            "the device was removed or changed, or its certificate revoked",
        )
        channel.abort()

    def end_idle(self) -> None:
        """Abort associations that have nothing under way."""
        for channel in tuple(self.associated):
            if channel.association is None or not channel.association.busy():
                channel.abort()

    def end_all(self) -> None:
        """Abort all associations, and wait for no peer to close."""
        for channel in tuple(self.associated):
            channel.abort()
        for channel in self._closing.members():
            channel.close()
        self._incidents.close()

    def sweep(self, now: float) -> None:
        """End what has passed its deadline."""
        limits = self.settings
        while (oldest := self._silent.oldest()) and now - oldest.since > limits.first_byte:
            self._silent.discard(oldest)
            oldest.cut()
        for channel in self._half_open.members():
            asking = channel.connection.state is State.AWAITING_REQUEST
            if now - channel.since > (limits.artim if asking else limits.answer):
                self.violated(channel, Violation.TOO_SLOW, "no association request in time")
                channel.close()
        for channel in self._closing.members():
            if now - channel.since > limits.artim:
                channel.cut()
        for channel in tuple(self.associated):
            overdue = channel.association.overdue(now) if channel.association is not None else None
            if overdue is not None:
                violation, detail = overdue
                _log.info("dimse.overdue", session=channel.session, detail=detail)
                if violation is not None:
                    self.violated(channel, violation, detail)
                channel.abort()
        self._incidents.sweep(now)

    def _crowd_out(self, channel: Channel) -> None:
        if channel.phase is not Phase.CLOSING:
            self.violated(channel, Violation.CROWDED_OUT, f"while {channel.phase.name.lower()}")
        channel.cut()
