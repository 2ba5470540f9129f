# SPDX-License-Identifier: Apache-2.0
"""How we call registered devices: the one place where their host, port and zone are looked up.

Invariant: we speak to nobody but a registered device of the organization that wants it, and in
plaintext only where a zone of that organization allows it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from radkeep.dimse.ports import Destination, Destinations
from radkeep.dimse.scu.proposal import Proposal
from radkeep.dimse.scu.requestor import Requestor
from radkeep.dimse.wire.items import RoleSelection


class Caller:
    """Opens associations. Thread-safe."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations

    def destination(self, organization: str, ae_title: str) -> Destination:
        """Return where ``ae_title`` listens.

        Raises:
            NotFoundError: it is not registered, or without host and port.
        """
        return self._destinations.destination(organization, ae_title)

    def call(
        self,
        organization: str,
        destination: Destination,
        *,
        calling: str,
        contexts: Sequence[tuple[str, Sequence[str]]],
        roles: tuple[RoleSelection, ...] = (),
        stop: Callable[[], bool] = lambda: False,
        patience: float | None = None,
    ) -> Requestor:
        """Return an association with ``destination``; wait ``patience`` seconds for each answer.

        Raises:
            PeerError: it cannot be had.
            ForbiddenError: no zone of ``organization`` lets us speak to its address.
        """
        proposal = Proposal(
            host=destination.host,
            port=destination.port,
            called=destination.ae_title,
            calling=calling,
            contexts=contexts,
            roles=roles,
            admit=partial(self._destinations.check_plaintext, organization),
            stop=stop,
        )
        if patience is not None:
            proposal = replace(proposal, connect=patience, answer=patience)
        return Requestor(proposal)
