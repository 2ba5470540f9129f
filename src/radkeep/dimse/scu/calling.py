# SPDX-License-Identifier: Apache-2.0
"""How we call registered devices: the one place where their host, port and zone are looked up.

Invariant: we speak to nobody but a registered device of the organization that wants it: over TLS
if it listens so, once it has proved who it is; else in plaintext, where a zone of that organization
allows it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from radkeep.dimse.ports import Destination, Destinations
from radkeep.dimse.scu.proposal import Proposal
from radkeep.dimse.scu.requestor import Requestor
from radkeep.dimse.scu.securing import secure
from radkeep.dimse.wire.items import RoleSelection
from radkeep.domain.errors import RadkeepError


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
            UnavailableError: it wants TLS, and we have no certificate to show.
        """
        proposal = Proposal(
            host=destination.host,
            port=destination.port,
            called=destination.ae_title,
            calling=calling,
            contexts=contexts,
            roles=roles,
            stop=stop,
        )
        if destination.tls:
            proofs = self._destinations.proofs(organization, destination.ae_title)
            context = self._destinations.context()
            proposal = replace(proposal, secure=lambda link: secure(link, context, proofs))
        else:
            admit = partial(self._destinations.check_plaintext, organization)
            proposal = replace(proposal, admit=admit)
        if patience is not None:
            proposal = replace(proposal, connect=patience, answer=patience)
        return Requestor(proposal)

    def may_go_on(self, organization: str, destination: Destination, link: Requestor) -> bool:
        """Tell whether an association that stands could be opened again as it is."""
        if destination.tls:
            proofs = self._destinations.proofs(organization, destination.ae_title)
            return link.certificate in proofs
        try:
            self._destinations.check_plaintext(organization, link.address)
        except RadkeepError:
            return False
        return True
