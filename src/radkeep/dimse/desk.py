# SPDX-License-Identifier: Apache-2.0
"""Decides about association requests and sets up what serves an accepted one.

Invariant: a peer that has not proved who it is hears one word for every refusal (1/1/3); only
overload (2/3/2) and locked keys (2/3/1) are told to everyone.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, Final

import structlog

from radkeep.dimse.association import Association, Line
from radkeep.dimse.channel import Channel, Phase
from radkeep.dimse.courier import Finished, Outgoing
from radkeep.dimse.gate import Gate
from radkeep.dimse.operations import Operations, Service, Terms
from radkeep.dimse.ports import PERMANENT, TRANSIENT, Admission, Rejected, Store, Violation
from radkeep.dimse.store_scp import Intake, Note
from radkeep.dimse.wire.items import APPLICATION_CONTEXT
from radkeep.dimse.wire.negotiation import Offer, negotiate
from radkeep.dimse.wire.pdu import PROTOCOL_VERSION, AssociateReject, AssociateRequest
from radkeep.dimse.wire.state import State
from radkeep.dimse.worker import Outbox, Worker
from radkeep.domain.actor import Actor
from radkeep.domain.addresses import source_of
from radkeep.domain.errors import (
    AuditUnavailableError,
    ForbiddenError,
    LockedError,
    RadkeepError,
    ThrottledError,
    UnavailableError,
)

BY_USER, BY_PROTOCOL = 1, 2  # source of a rejection, PS3.8 Table 9-21
NOT_RECOGNIZED: Final = AssociateReject(PERMANENT, 1, 3)  # PS3.8 Table 9-21
SEALED: Final = AssociateReject(TRANSIENT, 3, 1)  # temporary congestion
OVERLOADED: Final = AssociateReject(TRANSIENT, 3, 2)  # local limit exceeded

_log: Final = structlog.get_logger()


class Desk:
    """Answers association requests; lives on the event loop, asks ``Admission`` in a thread."""

    def __init__(
        self,
        *,
        admission: Admission,
        store: Store[Any],
        offer: Offer,
        services: Mapping[int, Service],
        workers: Sequence[Worker],
        threads: ThreadPoolExecutor,
        operators: ThreadPoolExecutor,
        outbox: Outbox[Note | Outgoing | Finished],
    ) -> None:
        """Ask ``admission`` in ``threads``; bind each association to the idlest worker.

        ``services`` answer what is no C-ECHO and no C-STORE, in ``operators``.
        """
        self._admission, self._store, self._offer = admission, store, offer
        self._workers, self._threads, self._outbox = workers, threads, outbox
        self._services, self._operators = services, operators
        self._tasks: set[asyncio.Task[None]] = set()

    def decide(self, gate: Gate, channel: Channel, request: AssociateRequest) -> None:
        """Answer ``request``, now or later."""
        if gate.settings.sealed or gate.closed:
            channel.reject(SEALED)
        elif len(gate.associated) >= _slots(gate, channel):
            channel.reject(OVERLOADED)
        else:
            task = asyncio.get_running_loop().create_task(self._ask(gate, channel, request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Forget requests that are not decided yet."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, gate: Gate, channel: Channel, request: AssociateRequest) -> None:
        try:
            actor = await asyncio.get_running_loop().run_in_executor(
                self._threads,
                self._admission.admit,
                request.calling,
                request.called,
                channel.address,
                channel.certificate,
            )
            self._check(gate, channel, request, actor)
        except Rejected as rejected:
            answer = AssociateReject(rejected.result, rejected.source, rejected.reason)
        except RadkeepError as error:
            answer = _word_for(error)
        except Exception:  # noqa: BLE001 - logged; the peer must hear something
            _log.exception("dimse.admission.failed")
            answer = OVERLOADED
        else:
            if channel.connection.state is State.DECIDING and channel.phase is Phase.HALF_OPEN:
                self._establish(gate, channel, request, actor)
            return
        _log.info("dimse.rejected", address=channel.address, reason=answer.reason)
        if channel.connection.state is State.DECIDING and channel.phase is Phase.HALF_OPEN:
            channel.reject(answer)

    def _check(self, gate: Gate, channel: Channel, request: AssociateRequest, actor: Actor) -> None:
        """Refuse an admitted peer for what it asks, or because it has enough already."""
        if gate.closed:
            raise LockedError("the server is stopping")
        peers = [c.association.actor for c in gate.associated if c.association is not None]
        if len(peers) >= _slots(gate, channel):
            raise ThrottledError("all associations are in use")
        own = sum((p.id, p.organization) == (actor.id, actor.organization) for p in peers)
        if own >= gate.settings.associations_per_peer:
            raise ThrottledError("the peer has all the associations it may have")
        source = source_of(channel.address)
        near = sum(source_of(other.address) == source for other in gate.associated)
        if near >= gate.settings.associations_per_source:
            raise ThrottledError("the address has all the associations it may have")
        if not request.version & PROTOCOL_VERSION:
            raise _refusal(channel, "another version of the protocol", BY_PROTOCOL, 2)
        if request.application_context != APPLICATION_CONTEXT:
            raise _refusal(channel, "another application context", BY_USER, 2)

    def _establish(
        self, gate: Gate, channel: Channel, request: AssociateRequest, actor: Actor
    ) -> None:
        accept, contexts = negotiate(request, self._offer)
        channel.session = secrets.token_hex(8)
        actor = replace(actor, address=channel.address, session=channel.session)
        intake = Intake(
            self._store,
            actor,
            session=channel.session,
            post=partial(self._outbox.post, channel),
            drained=gate.settings.queued_per_association // 2,
        )
        operations = Operations(
            self._services,
            terms=Terms(actor=actor, called=request.called, user=accept.user),
            connection=channel.connection,
            threads=self._operators,
            post=partial(self._outbox.post, channel),
            write=channel.write_all,
            abort=channel.abort,
            in_flight=gate.settings.in_flight,
        )
        association = Association(
            connection=channel.connection,
            intake=intake,
            operations=operations,
            worker=min(self._workers, key=lambda worker: worker.intakes),
            actor=actor,
            settings=gate.settings,
            line=Line(
                write=channel.write,
                released=channel.released,
                refused=partial(gate.violated, channel, Violation.PROTOCOL),
            ),
            now=gate.now(),
        )
        answer = channel.connection.accept(accept, contexts)
        channel.establish(association, answer)
        _log.info(
            "dimse.associated",
            device=actor.id,
            address=channel.address,
            session=channel.session,
            contexts=len(contexts),
        )


def _slots(gate: Gate, channel: Channel) -> int:
    """Return how many associations there may be for ``channel`` to get one."""
    kept_free = 0 if channel.certificate else gate.settings.reserved
    return gate.settings.associations - kept_free


def _refusal(channel: Channel, words: str, source: int, reason: int) -> Exception:
    """Return what a peer hears: the reason, if its certificate has proved who it is."""
    if channel.certificate:
        return Rejected(PERMANENT, source, reason)
    return ForbiddenError(words)


def _word_for(error: RadkeepError) -> AssociateReject:
    if isinstance(error, LockedError):
        return SEALED
    if isinstance(error, UnavailableError | ThrottledError | AuditUnavailableError):
        return OVERLOADED
    return NOT_RECOGNIZED
