# SPDX-License-Identifier: Apache-2.0
"""A private certificate authority for this installation (RFC 5280).

Invariant: the authority can vouch for the server's own names and its devices only (name
constraints, critical), so whoever trusts it trusts it with nothing else. Private keys are derived
from 32-byte seeds of the keyring and lie on no disk.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from radkeep.crypto.digest import hkdf
from radkeep.domain.errors import IntegrityError

AUTHORITY_LIFE: Final = timedelta(days=3650)
LEAF_LIFE: Final = timedelta(days=730)
SKEW: Final = timedelta(hours=1)  # clocks of peers may be behind
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
DEVICE_PREFIX: Final = (
    "urn:radkeep:device:"  # in the subject alternative name of device certificates
)
_INFO: Final = b"radkeep/1 P-256 key\0"
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # SEC 2, 2.4.2
_WIDE: Final = 48  # bytes: 128 more bits than the order, FIPS 186-5 Appendix A.2.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate and its private key, both PEM; the key unencrypted (PKCS #8)."""

    certificate: bytes
    key: bytes


def new_authority(seed: bytes, hostnames: Sequence[str], *, now: datetime) -> Issued:
    """Return a new authority for servers named ``hostnames`` (and loopback) and for devices.

    Args:
        seed: 32 secret bytes; the private key follows from them.
        hostnames: DNS names or IP addresses; names below a DNS name are permitted, too.
        now: start of validity.
    """
    key = _private_key(seed)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _name("Radkeep private CA " + identifier.digest.hex()[:8])
    builder = (
        _builder(name, key.public_key(), name, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(_constraints(hostnames), critical=True)
        .add_extension(identifier, critical=False)
    )
    return _issued(builder.sign(key, SHA256()), key)


def issue_server(
    authority: bytes, authority_seed: bytes, seed: bytes, hostname: str, *, now: datetime
) -> Issued:
    """Return a server certificate for ``hostname``, localhost, 127.0.0.1 and ::1.

    Args:
        authority: the authority's certificate, PEM.
        authority_seed: what the authority was made from.
        seed: 32 secret bytes for the server's key.
        hostname: DNS name or IP address, one of the authority's.
        now: start of validity.
    """
    names = [_general(name) for name in dict.fromkeys((hostname, *LOOPBACK))]
    use = ExtendedKeyUsageOID.SERVER_AUTH
    return _leaf(authority, authority_seed, seed, "Radkeep server", names, use, now)


def issue_device(
    authority: bytes, authority_seed: bytes, seed: bytes, ae_title: str, *, now: datetime
) -> Issued:
    """Return a client certificate for the DICOM device ``ae_title``.

    The title stands in a URI and not in a common name, which some verifiers would hold against
    the authority's name constraints.
    """
    quoted = "".join(c if c.isalnum() and c.isascii() else f"%{ord(c):02X}" for c in ae_title)
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(DEVICE_PREFIX + quoted)]
    use = ExtendedKeyUsageOID.CLIENT_AUTH
    return _leaf(authority, authority_seed, seed, "Radkeep device", names, use, now)


def fingerprint(certificate: bytes) -> bytes:
    """Return the SHA-256 digest of a PEM certificate's DER bytes."""
    return x509.load_pem_x509_certificate(certificate).fingerprint(SHA256())


def _private_key(seed: bytes) -> ec.EllipticCurvePrivateKey:
    wide = int.from_bytes(hkdf(seed, b"", _INFO, _WIDE), "big")
    return ec.derive_private_key(wide % (_ORDER - 1) + 1, ec.SECP256R1())


def _name(unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Radkeep"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
        ]
    )


def _builder(
    subject: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + life)
    )


def _leaf(
    authority: bytes,
    authority_seed: bytes,
    seed: bytes,
    unit: str,
    names: Sequence[x509.GeneralName],
    use: x509.ObjectIdentifier,
    now: datetime,
) -> Issued:
    parent = x509.load_pem_x509_certificate(authority)
    parent_key, key = _private_key(authority_seed), _private_key(seed)
    if parent.public_key() != parent_key.public_key():
        raise IntegrityError("the stored CA certificate is not this installation's")
    life = min(LEAF_LIFE, parent.not_valid_after_utc - now)
    public = key.public_key()
    builder = (
        _builder(_name(unit), public, parent.subject, now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(parent_key.public_key()),
            critical=False,
        )
    )
    return _issued(builder.sign(parent_key, SHA256()), key)


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    return Issued(
        certificate=certificate.public_bytes(Encoding.PEM),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode())


def _constraints(hostnames: Sequence[str]) -> x509.NameConstraints:
    permitted: list[x509.GeneralName] = []
    for name in dict.fromkeys((*hostnames, *LOOPBACK)):
        general = _general(name)
        if isinstance(general, x509.IPAddress):
            general = x509.IPAddress(ipaddress.ip_network(name))
        permitted.append(general)
    return x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None)
