# SPDX-License-Identifier: Apache-2.0
"""TLS of the web door, whose certificate can change while it serves.

Invariant: a new connection gets the newest certificate; one that is established keeps its own.
"""

import ssl
from typing import Final

from radkeep.crypto import tls

_PROTOCOLS: Final = ("http/1.1",)


def server_context(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """Return the context of a web server with this PEM certificate and unencrypted PEM key."""
    context = tls.server_context(certificate, key)
    context.set_alpn_protocols(_PROTOCOLS)
    return context


def renew(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Let connections that begin from now on at ``context`` see another certificate.

    Loading it into ``context`` itself would leave one with a key of another kind in use beside it.
    """
    fresh = server_context(certificate, key)

    def choose(link: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        link.context = fresh

    context.sni_callback = choose  # also called where no name is sent
