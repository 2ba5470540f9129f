# SPDX-License-Identifier: Apache-2.0
"""C-ECHO as user (PS3.4 Annex A).

Invariant: it is over within half a minute, whatever the peer does.
"""

from typing import Final

from radkeep.dicom.syntaxes import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from radkeep.dimse.ports import Destination, Destinations
from radkeep.dimse.scu.calling import Caller
from radkeep.dimse.scu.proposal import PeerError
from radkeep.dimse.wire.negotiation import VERIFICATION

_PATIENCE: Final = 8.0  # seconds for each of: connection, association, answer


class EchoScu:
    """Calls registered devices as ``ae_title``. Thread-safe."""

    def __init__(self, destinations: Destinations, *, ae_title: str) -> None:
        self._caller, self._ae_title = Caller(destinations), ae_title

    def echo(self, organization: str, device: Destination) -> None:
        """Return once ``device`` has answered with success.

        Raises:
            PeerError: it did not.
            ForbiddenError: we may not speak to it.
        """
        with self._caller.call(
            organization,
            device,
            calling=self._ae_title,
            contexts=[(VERIFICATION, [EXPLICIT_LITTLE, IMPLICIT_LITTLE])],
            patience=_PATIENCE,
        ) as link:
            status = link.echo()
        if status:
            raise PeerError(f"the peer answers with status {status:04X}")
