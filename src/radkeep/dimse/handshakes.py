# SPDX-License-Identifier: Apache-2.0
"""Why a TLS handshake failed, in our words.

Invariant: a closed list; nothing that a peer sends finds its way into it.
"""

import ssl
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Fault(StrEnum):
    """What our own people are told about a handshake that failed."""

    NO_CERTIFICATE = "it has no client certificate"
    FOREIGN = "its certificate is of an authority that is not ours, and not imported"
    EXPIRED = "its certificate has expired"
    EARLY = "its certificate is not valid yet"
    UNFIT = "its certificate is not fit for a DICOM client"
    OLD = "it offers no TLS 1.2 or 1.3"
    CIPHERS = "it offers no cipher with forward secrecy and authenticated encryption"
    PLAIN = "it speaks no TLS"
    DISTRUST = "it does not trust this server's certificate"
    LEFT = "it left during the handshake"
    OTHER = "the TLS handshake failed"


# X509_V_ERR_*: openssl/x509_vfy.h
_VERIFY: Final = MappingProxyType(
    {
        9: Fault.EARLY,
        10: Fault.EXPIRED,
        18: Fault.FOREIGN,  # self-signed
        19: Fault.FOREIGN,  # self-signed in the chain
        20: Fault.FOREIGN,  # no issuer here
        21: Fault.FOREIGN,
        7: Fault.FOREIGN,  # a signature that is not our authority's
    }
)
_REASON: Final = MappingProxyType(
    {
        "PEER_DID_NOT_RETURN_A_CERTIFICATE": Fault.NO_CERTIFICATE,
        "NO_SHARED_CIPHER": Fault.CIPHERS,
        "UNSUPPORTED_PROTOCOL": Fault.OLD,
        "WRONG_VERSION_NUMBER": Fault.PLAIN,
        "HTTP_REQUEST": Fault.PLAIN,
        "HTTPS_PROXY_REQUEST": Fault.PLAIN,
        "PACKET_LENGTH_TOO_LONG": Fault.PLAIN,
        "BAD_RECORD_TYPE": Fault.PLAIN,
        "UNKNOWN_PROTOCOL": Fault.PLAIN,
        "TLSV1_ALERT_UNKNOWN_CA": Fault.DISTRUST,
        "SSLV3_ALERT_BAD_CERTIFICATE": Fault.DISTRUST,
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN": Fault.DISTRUST,
        "SSLV3_ALERT_CERTIFICATE_EXPIRED": Fault.DISTRUST,
    }
)


def fault_of(error: ssl.SSLError) -> Fault:
    """Return what went wrong."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY.get(error.verify_code, Fault.UNFIT)
    return _REASON.get(error.reason or "", Fault.OTHER)
