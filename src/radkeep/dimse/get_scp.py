# SPDX-License-Identifier: Apache-2.0
"""C-GET (PS3.4 Section C.4.3): what is asked for comes back over the same association.

Invariant: one sub-operation at a time is under way, as the peer's window allows; the next ones wait
ready on the event loop meanwhile.
"""

from collections import deque
from typing import Final

from radkeep.dimse.courier import Courier
from radkeep.dimse.ports import Selector
from radkeep.dimse.suboperations import PENDING, Parcel, Routes, Tally, wanted
from radkeep.dimse.wire.commands import CommandField
from radkeep.dimse.wire.commands import request as store_request
from radkeep.identity.permissions import Permission

_AHEAD: Final = 2  # instances that wait behind the one under way


class GetScp:
    """Answers retrievals over the association that asks."""

    def __init__(self, selector: Selector) -> None:
        self._selector = selector

    def run(self, courier: Courier) -> None:
        """Answer one C-GET-RQ.

        Raises:
            RadkeepError: refused, and not answered yet.
        """
        request = courier.request
        found = self._selector.choose(
            request.actor, wanted(request), permission=Permission.STUDY_PULL, purpose="c-get"
        )
        routes = Routes(
            context
            for context in request.contexts.values()
            if context.abstract_syntax in request.scp_classes
        )
        tally = Tally(len(found))
        under_way: deque[str] = deque()
        sent = 0
        for instance in found:
            if courier.cancelled:
                break
            name = str(instance.stored.sop_instance)
            parcel = routes.parcel(instance)
            if parcel is None:
                _count(courier, tally, name, None)
                continue
            _send(courier, sent, parcel)
            sent += 1
            under_way.append(name)
            if len(under_way) > _AHEAD:
                _count(courier, tally, under_way.popleft(), courier.answered()[1])
        for name in under_way:
            _count(courier, tally, name, courier.answered()[1])
        status = tally.status(cancelled=courier.cancelled)
        courier.respond(
            status,
            identifier=tally.identifier(request.context),
            counts=tally.numbers(remaining=tally.remaining > 0),
        )


def _send(courier: Courier, number: int, parcel: Parcel) -> None:
    command = store_request(
        number % 0xFFFF + 1, CommandField.C_STORE, parcel.sop_class, parcel.sop_instance
    )
    courier.command(parcel.context.id, command, after=number)
    for piece, last in parcel.pieces:
        courier.data(parcel.context.id, piece, last=last)


def _count(courier: Courier, tally: Tally, name: str, status: int | None) -> None:
    tally.count(name, status)
    if tally.remaining:
        courier.respond(PENDING, counts=tally.numbers(remaining=True))
