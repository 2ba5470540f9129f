# SPDX-License-Identifier: Apache-2.0
"""TLS as the web doors speak it (RFC 9325; BCP 195).

Invariant: TLS 1.2 with ephemeral keys and authenticated encryption, or TLS 1.3; the private key is
never written to a disk.
"""

import os
import ssl
from typing import Final

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all fit


def server_context(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """Return the context of a server with this PEM certificate and unencrypted PEM key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    # The ssl module loads keys from files only: this one is anonymous memory.
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context
