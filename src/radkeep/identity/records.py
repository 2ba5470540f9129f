# SPDX-License-Identifier: Apache-2.0
"""What the registry keeps about people, machines and networks: frozen values.

Invariant: no record holds a secret in clear that its owner could choose or see again, the TOTP
secret excepted, which both sides of RFC 6238 must know; bearer secrets are digests. All times are
UTC.
"""

from dataclasses import dataclass
from datetime import date, datetime
from ipaddress import IPv4Network, IPv6Network

from radkeep.identity.permissions import Scope, Service
from radkeep.identity.roles import Role

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A clinic: everything belongs to one."""

    id: str
    name: str
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person."""

    id: str
    organization: str
    email: str  # unique in the installation, in lower case
    name: str
    roles: frozenset[Role]
    created: datetime
    disabled: datetime | None = None
    enrolled: bool = False  # has a password and a second factor
    demo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How a person proves who they are."""

    account: str
    password_hash: str  # argon2id, encoded
    totp_secret: bytes
    totp_step: int  # last step accepted; it and earlier ones are refused
    changed: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A one-time link with which a person sets password and second factor."""

    digest: bytes  # of the link's token
    account: str
    totp_secret: bytes
    created: datetime
    expires: datetime
    used: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPassedRecord:
    """A sign-in that still lacks its second factor."""

    digest: bytes
    account: str
    created: datetime
    expires: datetime
    tries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBrowser:
    """A browser in which a person proved the second factor before."""

    digest: bytes  # of its cookie; one browser may be known for several accounts
    account: str
    created: datetime
    factor_until: datetime  # until then the password alone signs in
    expires: datetime  # until then attacks from elsewhere do not slow this browser


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in browser."""

    digest: bytes  # of its cookie
    account: str
    created: datetime
    seen: datetime  # last use, to the minute
    expires: datetime
    address: str
    demo: bool = False

    @property
    def id(self) -> str:
        """Return what names the session in the audit log; useless for signing in."""
        return self.digest.hex()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token of a service."""

    id: str
    organization: str
    name: str
    scopes: frozenset[Scope]
    created: datetime
    created_by: str
    expires: datetime
    used: datetime | None = None  # last use, to ten minutes
    revoked: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A DICOM device (an application entity)."""

    id: str
    organization: str
    ae_title: str  # 1 to 16 characters, PS3.5 Section 6.2
    addresses: tuple[Network, ...]  # it may call from these; none: only with a certificate
    services: frozenset[Service]
    host: str  # where C-MOVE sends to; "" if nowhere
    port: int  # 0 if nowhere
    created: datetime
    tls: bool = False  # it listens with TLS; then nothing is sent to it without


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """With which a device proves over TLS who it is. One device may have several."""

    fingerprint: str  # SHA-256 of ``der``, hexadecimal
    device: str  # its id; the certificate outlives it, revoked
    organization: str
    ae_title: str
    serial: int
    subject: str
    issuer: str
    imported: bool  # another authority's, trusted for itself alone
    der: bytes
    begins: datetime
    expires: datetime
    created: datetime
    revoked: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Tell whether it proves anything at ``now``."""
        return self.revoked is None and self.begins <= now < self.expires


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A part of the network."""

    id: str
    organization: str
    name: str
    networks: tuple[Network, ...]
    plaintext: bool  # DIMSE without TLS is accepted from here
    reason: str
    review: date | None  # when somebody must look again at ``plaintext``
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """A peer that asked for entry and was refused."""

    calling: str
    called: str
    address: str
    reason: str  # the true one
    first: datetime
    last: datetime
    count: int
