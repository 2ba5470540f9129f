# SPDX-License-Identifier: Apache-2.0
"""TLS as our doors speak it (RFC 9325; BCP 195; PS3.15 Sections B.12 and B.13).

Invariant: TLS 1.2 with ephemeral keys and authenticated encryption, or TLS 1.3; the private key is
never written to a disk.
"""

import os
import ssl
from collections.abc import Iterable
from typing import Final

# Of TLS 1.2; those of 1.3 are all fit. Level 2: no RSA below 2,048 bits, no SHA-1 signature.
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"


def server_context(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """Return the context of a server with this PEM certificate and unencrypted PEM key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    _load(context, certificate, key)
    return context


def calling_context(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """Return the context of a client with this PEM certificate and unencrypted PEM key.

    It takes whatever certificate the server shows, as long as the server has its key: whoever uses
    it compares the fingerprint with the ones that are registered, before anything is said.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    _load(context, certificate, key)
    return context


def mutual_context(
    certificate: bytes, key: bytes, *, authority: bytes, pinned: Iterable[bytes]
) -> ssl.SSLContext:
    """Return the context of a server that lets in only whom it knows.

    Args:
        certificate: the server's, PEM.
        key: its key, unencrypted PEM.
        authority: certificate of the authority that devices' certificates are of, PEM.
        pinned: further certificates of devices, DER, each trusted for itself whoever issued it.
            One that may issue others would let them through as well: whoever asks for this
            context must compare fingerprints.
    """
    context = server_context(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusted = ssl.PEM_cert_to_DER_cert(authority.decode("ascii"))
    context.load_verify_locations(cadata=b"".join([trusted, *pinned]))
    # A resumed session would skip the look at the certificate.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context


def _load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # The ssl module loads keys from files only: this one is anonymous memory.
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
