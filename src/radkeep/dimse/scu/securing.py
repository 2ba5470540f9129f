# SPDX-License-Identifier: Apache-2.0
"""TLS towards a peer that we call.

Invariant: not a byte of DICOM goes to a peer before it has proved, by the key of a certificate that
is registered for it, that it is the one we mean: neither a name nor an authority would prove that.
"""

import socket
import ssl
from collections.abc import Collection
from hashlib import sha256

from radkeep.dimse.scu.proposal import PeerError


def secure(link: socket.socket, context: ssl.SSLContext, proofs: Collection[str]) -> ssl.SSLSocket:
    """Return ``link`` with TLS, once its peer has shown a certificate among ``proofs``.

    On an error ``link`` is closed.

    Raises:
        PeerError: no TLS, or another certificate.
    """
    try:
        secured = context.wrap_socket(link)
    except OSError as error:
        link.close()
        raise PeerError("the TLS handshake with the peer failed") from error
    if fingerprint(secured) not in proofs:
        secured.close()
        raise PeerError("the peer shows a certificate that is not registered for it")
    return secured


def fingerprint(link: socket.socket) -> str:
    """Return the SHA-256 of what the peer of ``link`` has shown, hexadecimal; "" without TLS."""
    if not isinstance(link, ssl.SSLSocket):
        return ""
    return sha256(link.getpeercert(binary_form=True) or b"").hexdigest()
