# SPDX-License-Identifier: Apache-2.0
"""C-MOVE (PS3.4 Section C.4.2): what is asked for goes to a registered device.

Invariant: nothing goes anywhere but to a registered destination of the asker's organization, and
in plaintext only where a zone allows it; a destination that fails costs failures, nothing else.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

import structlog

from radkeep.dicom.native import DECODABLE
from radkeep.dicom.recode import SOURCES, TARGETS
from radkeep.dimse.ahead import Ahead
from radkeep.dimse.courier import Courier
from radkeep.dimse.ports import Destination, Destinations, Selector
from radkeep.dimse.scu.links import Links
from radkeep.dimse.scu.proposal import PeerError
from radkeep.dimse.scu.requestor import MAX_CONTEXTS, Requestor
from radkeep.dimse.suboperations import PENDING, Parcel, Routes, Tally, wanted
from radkeep.dimse.wire.commands import CommandField, Element
from radkeep.domain.errors import NotFoundError, RadkeepError
from radkeep.identity.permissions import Permission
from radkeep.retrieval.retrieved import Retrieved

UNKNOWN_DESTINATION: Final = 0xA801
_ATTEMPTS: Final = 2  # associations without a success between them

_log: Final = structlog.get_logger()


class MoveScp:
    """Sends to others what is asked for."""

    def __init__(self, selector: Selector, destinations: Destinations) -> None:
        self._selector, self._links = selector, Links(destinations)

    def close(self) -> None:
        """End the associations that wait for another request."""
        self._links.close()

    def run(self, courier: Courier) -> None:
        """Answer one C-MOVE-RQ.

        Raises:
            RadkeepError: refused, and not answered yet.
        """
        request = courier.request
        title = request.command.texts.get(Element.MOVE_DESTINATION, "")
        asked = wanted(request)
        send = Permission.STUDY_SEND
        try:  # who may not send does not learn which destinations there are
            with self._selector.admitted(request.actor, permission=send, purpose="c-move"):
                destination = self._links.destination(request.actor.organization, title)
        except NotFoundError:
            courier.respond(UNKNOWN_DESTINATION, comment="the move destination is unknown")
            return
        found = self._selector.choose(request.actor, asked, permission=send, purpose="c-move")
        tally = Tally(len(found))
        delivery = _Delivery(courier, destination, self._links, tally)
        try:
            for part in _parts(found):
                delivery.deliver(part)
        finally:
            delivery.end()
        status = tally.status(cancelled=courier.cancelled)
        courier.respond(
            status,
            identifier=tally.identifier(request.context),
            counts=tally.numbers(remaining=tally.remaining > 0),
            comment=delivery.reason if tally.failed else "",
        )


class _Delivery:
    """The associations with one destination, one after the other."""

    def __init__(
        self,
        courier: Courier,
        destination: Destination,
        links: Links,
        tally: Tally,
    ) -> None:
        self.reason = ""  # why instances failed, safe for a peer
        self._courier, self._tally = courier, tally
        self._destination, self._links = destination, links
        self._used = False  # the association served somebody else before, and nothing of us yet
        self._link: Requestor | None = None
        self._routes = Routes(())
        self._ahead = Ahead()
        self._attempts = _ATTEMPTS

    def deliver(self, instances: Sequence[Retrieved]) -> None:
        """Send ``instances``, which one association has contexts for."""
        self.close()
        for number, instance in enumerate(instances):
            if self._courier.cancelled or self._courier.gone:
                return
            status = self._one(instances, number)
            if self._used and self._link is None:  # it had ended meanwhile: that is no failure
                status = self._one(instances, number)
            self._used = False
            self._tally.count(str(instance.stored.sop_instance), status)
            if self._tally.remaining:
                self._courier.respond(PENDING, counts=self._tally.numbers(remaining=True))
                self._courier.flush()

    def end(self) -> None:
        """Let go of everything."""
        self._ahead.close()
        self.close()

    def close(self) -> None:
        """Let the association, if there is one, wait for the next request."""
        link, self._link = self._link, None
        if link is not None:
            actor = self._courier.request.actor
            calling = self._courier.request.called
            self._links.give(actor.organization, self._destination, calling, link)

    def _one(self, instances: Sequence[Retrieved], number: int) -> int | None:
        if self._link is None and self._attempts:
            self._link = self._open(instances)
            self._routes = Routes(self._link.contexts.values() if self._link else ())
        parcel = None
        if self._link is not None:
            then = instances[number + 1] if number + 1 < len(instances) else None
            parcel = self._ahead.parcel(self._routes, instances[number], then)
        if self._link is None or parcel is None:
            self.reason = self.reason or "the destination takes not all classes or syntaxes"
            return None
        try:
            status = self._store(self._link, parcel)
        except RadkeepError as error:
            _log.warning("dimse.move.broken", code=error.code, reason=str(error))
            self.reason = str(error)
            self._link.abort()
            self._link = None
            self._attempts -= not self._used
            return None
        self._attempts = _ATTEMPTS
        return status

    def _store(self, link: Requestor, parcel: Parcel) -> int:
        request = self._courier.request
        command = link.command(
            CommandField.C_STORE,
            parcel.sop_class,
            parcel.sop_instance,
            originator=(request.actor.id, request.command.message_id),
        )
        return link.ask(parcel.context, command, parcel.pieces)

    def _open(self, instances: Iterable[Retrieved]) -> Requestor | None:
        request = self._courier.request
        try:
            link, self._used = self._links.take(
                request.actor.organization,
                self._destination,
                calling=request.called,
                contexts=[
                    context
                    for kind in dict.fromkeys(map(_kind, instances))
                    for context in _proposed(*kind)
                ],
                stop=lambda: self._courier.gone or self._courier.cancelled,
            )
        except RadkeepError as error:
            _log.warning("dimse.move.unreachable", code=error.code, reason=str(error))
            self.reason = str(error)
            self._attempts -= 1
            if not isinstance(error, PeerError):
                self._attempts = 0  # a second try would be refused, too
            return None
        return link


def _kind(instance: Retrieved) -> tuple[str, str]:
    return instance.stored.sop_class, instance.stored.transfer_syntax


def _proposed(sop_class: str, syntax: str) -> Sequence[tuple[str, Sequence[str]]]:
    """Return the contexts for a class: as stored, and what it can be changed into."""
    if syntax not in SOURCES | DECODABLE:
        return [(sop_class, [syntax])]
    return [(sop_class, [syntax]), (sop_class, TARGETS)]


def _parts(instances: Sequence[Retrieved]) -> Iterable[Sequence[Retrieved]]:
    """Split ``instances`` so that the contexts of each part fit one association."""
    kinds = list(dict.fromkeys(map(_kind, instances)))
    if len(kinds) <= MAX_CONTEXTS // 2:
        return [instances] if instances else []
    by_kind = iter(kinds)
    groups = iter(lambda: set(islice(by_kind, MAX_CONTEXTS // 2)), set())
    return [[one for one in instances if _kind(one) in group] for group in groups]
