# SPDX-License-Identifier: Apache-2.0
"""Certificates good and bad, and peers that hold them."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from radkeep.crypto.certificate_facts import facts_of
from radkeep.crypto.certificates import issue_device, issue_server, new_authority, new_key
from radkeep.crypto.tls import mutual_context
from radkeep.domain.clock import SystemClock

SEED, SERVER, FOREIGN = b"r" * 32, b"s" * 32, b"f" * 32
YEARS = timedelta(days=3 * 365)


@dataclass(frozen=True)
class Holder:
    """A certificate and its key in one file."""

    file: Path

    @property
    def fingerprint(self) -> str:
        return facts_of(self.file.read_bytes()).fingerprint

    @property
    def der(self) -> bytes:
        return facts_of(self.file.read_bytes()).der


class Pki:
    """One authority, its server, and devices with certificates of every kind."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, SystemClock().now()
        self.authority = new_authority(SEED, ["localhost"], now=self.now - YEARS).certificate
        self.server = issue_server(self.authority, SEED, SERVER, "localhost", now=self.now)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self.authority)

    def context(self, *pinned: bytes) -> ssl.SSLContext:
        """Return the door's."""
        server = self.server
        return mutual_context(
            server.certificate, server.key, authority=self.authority, pinned=pinned
        )

    def device(self, name: str = "CT1", *, now: datetime | None = None) -> Holder:
        """Return a device's certificate of our authority, with a key of its own."""
        private, public = new_key()
        issued = issue_device(self.authority, SEED, public, name, now=now or self.now)
        return self._holder(issued, private)

    def expired(self) -> Holder:
        return self.device(now=self.now - YEARS)

    def early(self) -> Holder:
        return self.device(now=self.now + timedelta(days=2))

    def foreign(self) -> Holder:
        """Return one of another authority of the same kind."""
        other = new_authority(FOREIGN, ["localhost"], now=self.now).certificate
        private, public = new_key()
        return self._holder(issue_device(other, FOREIGN, public, "CT1", now=self.now), private)

    def namesake(self) -> Holder:
        """Return one of an authority that has our authority's name, but not its key."""
        mine = x509.load_pem_x509_certificate(self.authority)
        return self.signed(issuer=mine.subject, key=ec.generate_private_key(ec.SECP256R1()))

    def signed(
        self,
        *,
        issuer: x509.Name | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
        ca: bool = False,
    ) -> Holder:
        """Return a certificate made without us: self-signed, or signed by ``key``."""
        own = ec.generate_private_key(ec.SECP256R1())
        title = f"modality {x509.random_serial_number()}"
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer or name)
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + timedelta(days=9))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(key or own, SHA256())
        )
        private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self._holder(made.public_bytes(Encoding.PEM), private)

    def child_of(self, parent: Holder) -> Holder:
        """Return a certificate that a device's certificate signed as if it were an authority."""
        pem = parent.file.read_bytes()
        held = x509.load_pem_x509_certificate(pem)
        key = ssl_key(pem)
        child = self.signed(issuer=held.subject, key=key)
        # The chain is sent whole, so that only trust can refuse it.
        chain, private = child.file.read_bytes().split(b"-----BEGIN PRIVATE", 1)
        child.file.write_bytes(
            chain + held.public_bytes(Encoding.PEM) + b"-----BEGIN PRIVATE" + private
        )
        return child

    def client(self, holder: Holder | None = None) -> ssl.SSLContext:
        """Return a peer's context, that of a stranger without ``holder``."""
        context = ssl.create_default_context(cafile=self.ca)
        if holder is not None:
            context.load_cert_chain(holder.file)
        return context

    def _holder(self, certificate: bytes, private: bytes) -> Holder:
        file = self.folder / f"{len(list(self.folder.iterdir()))}.pem"
        file.write_bytes(certificate.rstrip() + b"\n" + private)
        return Holder(file)


def ssl_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(b"-----BEGIN PRIVATE" + pem.split(b"-----BEGIN PRIVATE")[1], None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def old(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return ``context``, as it speaks an old version and nothing newer."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


def only(context: ssl.SSLContext, ciphers: str) -> ssl.SSLContext:
    """Return ``context``, as it speaks TLS 1.2 with these ciphers alone."""
    context.set_ciphers(ciphers)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def details(incidents: Sequence[object]) -> list[str]:
    return [str(getattr(incident, "detail", "")) for incident in incidents]
