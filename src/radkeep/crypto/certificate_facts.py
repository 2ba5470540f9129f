# SPDX-License-Identifier: Apache-2.0
"""What certificates and keys that others bring say, and whether they are fit.

Invariant: nothing that these functions return was believed unread: it is bounded, parsed and of a
strength that will hold (RSA from 2,048 bits, elliptic curves from 256).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from radkeep.domain.errors import InvalidRequestError

MAX_PEM: Final = 65_536  # bytes of a chain or a key
_MIN_RSA: Final = 2_048  # bits, NIST SP 800-131A
_MIN_CURVE: Final = 256  # bits
_MAX_CHAIN: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a certificate says."""

    fingerprint: str  # SHA-256 of its DER bytes, hexadecimal
    der: bytes
    serial: int
    subject: str
    issuer: str
    names: Sequence[str]  # DNS names, addresses and URIs
    begins: datetime
    expires: datetime


def facts_of(pem: bytes) -> Facts:
    """Return what the first certificate in ``pem`` says.

    Raises:
        InvalidRequestError: there is none, or it cannot be read.
    """
    return _facts(_chain(pem)[0])


def client_facts(pem: bytes, *, now: datetime) -> Facts:
    """Return what a device's own certificate says, after a look at whether it is fit for one.

    Raises:
        InvalidRequestError: not exactly one certificate, a weak one, not valid now, or made for
            another use than TLS clients.
    """
    chain = _chain(pem)
    if len(chain) != 1:
        raise InvalidRequestError("import the device's own certificate alone, without its issuers")
    certificate = chain[0]
    _check(certificate, ExtendedKeyUsageOID.CLIENT_AUTH, "TLS clients", now)
    return _facts(certificate)


def server_pair(chain: bytes, key: bytes, hostname: str, *, now: datetime) -> tuple[bytes, bytes]:
    """Return a server's chain and its key in plain PEM, after a look at whether they are fit.

    Raises:
        InvalidRequestError: not PEM, a chain out of order, weak, not valid now, not for TLS
            servers, not for ``hostname``, or the key is another's or encrypted.
    """
    certificates = _chain(chain)
    leaf = certificates[0]
    for certificate in certificates:
        _check(certificate, None, "", now)
    _check(leaf, ExtendedKeyUsageOID.SERVER_AUTH, "TLS servers", now)
    for child, parent in pairwise(certificates):
        try:
            child.verify_directly_issued_by(parent)
        except (ValueError, TypeError, InvalidSignature):
            raise InvalidRequestError(
                "the chain is out of order: the server's certificate first, then each issuer"
            ) from None
    if not _is_for(leaf, hostname):
        raise InvalidRequestError(f"the certificate is not for {hostname}")
    try:
        private = load_pem_private_key(key[:MAX_PEM], None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidRequestError("the key is not an unencrypted PEM private key") from None
    if private.public_key() != leaf.public_key():
        raise InvalidRequestError("the key does not belong to the certificate")
    plain = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates), plain


def public_key_of(pem: bytes) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    """Return the public key in ``pem``.

    Raises:
        InvalidRequestError: not PEM, or a weak key.
    """
    try:
        key = load_pem_public_key(pem[:MAX_PEM])
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidRequestError("this is not a PEM public key") from None
    _check_key(key)
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise InvalidRequestError("devices have keys on elliptic curves, or RSA keys")
    return key


def _chain(pem: bytes) -> Sequence[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem[:MAX_PEM])
    except ValueError:
        raise InvalidRequestError("this is not a PEM certificate") from None
    if len(pem) > MAX_PEM or len(found) > _MAX_CHAIN:
        raise InvalidRequestError("these are too many certificates")
    return found


def _facts(certificate: x509.Certificate) -> Facts:
    return Facts(
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        der=certificate.public_bytes(Encoding.DER),
        serial=certificate.serial_number,
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=_names(certificate),
        begins=certificate.not_valid_before_utc,
        expires=certificate.not_valid_after_utc,
    )


def _names(certificate: x509.Certificate) -> Sequence[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ()
    return [
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
        *names.get_values_for_type(x509.UniformResourceIdentifier),
    ]


def _check(
    certificate: x509.Certificate, use: x509.ObjectIdentifier | None, words: str, now: datetime
) -> None:
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise InvalidRequestError("a certificate has expired or is not valid yet")
    try:
        _check_key(certificate.public_key())
        if isinstance(certificate.signature_hash_algorithm, SHA1):
            raise InvalidRequestError("a certificate is signed with SHA-1")
        uses = {*certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value}
    except x509.ExtensionNotFound:
        return
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
        raise InvalidRequestError("a certificate cannot be read") from None
    fit = use in uses or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in uses
    if use is not None and not fit:
        raise InvalidRequestError(f"the certificate is not for {words}")


def _check_key(key: object) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _MIN_RSA:
            raise InvalidRequestError(f"an RSA key has at least {_MIN_RSA} bits")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.key_size < _MIN_CURVE:
            raise InvalidRequestError(f"an elliptic curve has at least {_MIN_CURVE} bits")
    elif not isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        raise InvalidRequestError("a key is of a kind that TLS does not use")


def _is_for(certificate: x509.Certificate, hostname: str) -> bool:
    host = hostname.lower()
    parent = "*." + host.partition(".")[2]
    return any(name.lower() in (host, parent) for name in _names(certificate))
