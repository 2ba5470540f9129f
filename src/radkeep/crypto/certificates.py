# SPDX-License-Identifier: Apache-2.0
"""A private certificate authority for this installation (RFC 5280).

Invariant: the authority can vouch for the server's own names and its devices only (name
constraints, critical), so whoever trusts it trusts it with nothing else. Its private key and those
of the doors are derived from 32-byte seeds of the keyring and lie on no disk; a device's private
key never comes here.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from radkeep.crypto.certificate_facts import public_key_of
from radkeep.crypto.digest import hkdf
from radkeep.domain.errors import IntegrityError

AUTHORITY_LIFE: Final = timedelta(days=3650)
LEAF_LIFE: Final = timedelta(days=730)
LIST_LIFE: Final = timedelta(days=7)  # of a revocation list
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
    certificate = builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
    return Issued(certificate=certificate, key=_private_pem(key))


def issue_server(
    authority: bytes,
    authority_seed: bytes,
    seed: bytes,
    hostname: str,
    *,
    now: datetime,
    crl: str = "",
    client: bool = False,
) -> Issued:
    """Return a server certificate for ``hostname``, localhost, 127.0.0.1 and ::1.

    Args:
        authority: the authority's certificate, PEM.
        authority_seed: what the authority was made from.
        seed: 32 secret bytes for the server's key.
        hostname: DNS name or IP address, one of the authority's.
        now: start of validity.
        crl: address of the authority's revocation list.
        client: whether the server also calls others with it.
    """
    names = [_general(name) for name in dict.fromkeys((hostname, *LOOPBACK))]
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if client else [])]
    key = _private_key(seed)
    leaf = _Leaf(unit="Radkeep server", names=names, uses=uses, public=key.public_key(), crl=crl)
    certificate = _certify(authority, authority_seed, leaf, now)
    return Issued(certificate=certificate, key=_private_pem(key))


def issue_device(
    authority: bytes,
    authority_seed: bytes,
    public_key: bytes,
    ae_title: str,
    *,
    now: datetime,
    crl: str = "",
) -> bytes:
    """Return a client certificate, PEM, for the key of the DICOM device ``ae_title``.

    The title stands in a URI and not in a common name, which some verifiers would hold against
    the authority's name constraints.

    Raises:
        InvalidRequestError: ``public_key`` is not a PEM public key, or a weak one.
    """
    quoted = "".join(c if c.isalnum() and c.isascii() else f"%{ord(c):02X}" for c in ae_title)
    names = [x509.UniformResourceIdentifier(DEVICE_PREFIX + quoted)]
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
    public = public_key_of(public_key)
    leaf = _Leaf(unit="Radkeep device", names=names, uses=uses, public=public, crl=crl)
    return _certify(authority, authority_seed, leaf, now)


def revocation_list(
    authority: bytes,
    authority_seed: bytes,
    revoked: Iterable[tuple[int, datetime]],
    *,
    now: datetime,
) -> bytes:
    """Return the authority's list of revoked certificates (RFC 5280 Section 5), DER.

    Args:
        authority: the authority's certificate, PEM.
        authority_seed: what the authority was made from.
        revoked: serial number and time of revocation of each.
        now: the list is as of now, and must be renewed within ``LIST_LIFE``.
    """
    parent, key = _parent(authority, authority_seed)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(parent.subject)
        .last_update(now)
        .next_update(now + LIST_LIFE)
        .add_extension(x509.CRLNumber(int(now.timestamp() * 1_000)), critical=False)
        .add_extension(identifier, critical=False)
    )
    for serial, when in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def new_key() -> tuple[bytes, bytes]:
    """Return a new private key (PKCS #8, unencrypted) and its public key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return _private_pem(key), public


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
    public: CertificatePublicKeyTypes,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaf:
    unit: str
    names: Sequence[x509.GeneralName]
    uses: Sequence[x509.ObjectIdentifier]
    public: CertificatePublicKeyTypes
    crl: str


def _parent(authority: bytes, seed: bytes) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    parent, key = x509.load_pem_x509_certificate(authority), _private_key(seed)
    if parent.public_key() != key.public_key():
        raise IntegrityError("the stored CA certificate is not this installation's")
    return parent, key


def _certify(authority: bytes, authority_seed: bytes, leaf: _Leaf, now: datetime) -> bytes:
    parent, parent_key = _parent(authority, authority_seed)
    life = min(LEAF_LIFE, parent.not_valid_after_utc - now)
    builder = (
        _builder(_name(leaf.unit), leaf.public, parent.subject, now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(leaf.uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(leaf.names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(leaf.public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(parent_key.public_key()),
            critical=False,
        )
    )
    if leaf.crl:
        place = [x509.UniformResourceIdentifier(leaf.crl)]
        point = x509.DistributionPoint(
            full_name=place, relative_name=None, reasons=None, crl_issuer=None
        )
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    return builder.sign(parent_key, SHA256()).public_bytes(Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


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
