# SPDX-License-Identifier: Apache-2.0
"""The TCP connection to a peer.

Invariant: an address is connected to only after ``proposal.admit`` has let it pass, so that a name
that suddenly means something else cannot lead us there.
"""

import socket

from radkeep.dimse.scu.proposal import PeerError, Proposal
from radkeep.domain.errors import RadkeepError


def connect(proposal: Proposal) -> socket.socket:
    """Return a socket to the first address of the peer that may be called and answers.

    Raises:
        PeerError: none answers.
        RadkeepError: ``proposal.admit`` refuses every address, with the words for the last.
    """
    refused: RadkeepError | None = None
    reached: OSError | None = None
    try:
        places = socket.getaddrinfo(proposal.host, proposal.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise PeerError("the name of the peer means no address") from error
    for family, kind, protocol, _, place in places:
        try:
            proposal.admit(str(place[0]))
        except RadkeepError as error:
            refused = error
            continue
        link = socket.socket(family, kind, protocol)
        try:
            link.settimeout(proposal.connect)
            link.connect(place)
        except OSError as error:
            link.close()
            reached = error
            continue
        return link if proposal.secure is None else proposal.secure(link)
    if reached is None and refused is not None:
        raise refused
    raise PeerError("the peer cannot be reached") from reached
