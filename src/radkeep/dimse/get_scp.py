# SPDX-License-Identifier: Apache-2.0
"""C-GET (PS3.4 Section C.4.3): what is asked for comes back over the same association.

Invariant: one sub-operation at a time is under way, as the peer's window allows; the next one is
read from the archive meanwhile.
"""

from radkeep.dimse.courier import Courier
from radkeep.dimse.ports import Selector
from radkeep.dimse.scu.requestor import request as store_request
from radkeep.dimse.suboperations import PENDING, Parcel, Routes, Tally, wanted
from radkeep.dimse.wire.commands import CommandField
from radkeep.identity.permissions import Permission


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
        following: Parcel | None = None
        for number, instance in enumerate(found):
            if courier.cancelled:
                break
            name = str(instance.stored.sop_instance)
            parcel = following if number else routes.parcel(instance)
            if parcel is not None:
                _send(courier, number, parcel)
            following = routes.parcel(found[number + 1]) if number + 1 < len(found) else None
            tally.count(name, None if parcel is None else courier.answered()[1])
            if tally.remaining:
                courier.respond(PENDING, counts=tally.numbers(remaining=True))
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
    courier.command(parcel.context.id, command)
    for piece, last in parcel.pieces:
        courier.data(parcel.context.id, piece, last=last)
