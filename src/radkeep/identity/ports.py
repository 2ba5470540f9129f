# SPDX-License-Identifier: Apache-2.0
"""What this room asks of the registry.

Invariant: each method is one atomic step, durable when it returns; what must not happen twice
(a code, a link) is decided by the method's answer, never by a look before.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from radkeep.identity.records import (
    Account,
    Certificate,
    Credentials,
    Device,
    Enrolment,
    Knock,
    KnownBrowser,
    Organization,
    PasswordPassedRecord,
    Session,
    Token,
    Zone,
)
from radkeep.identity.roles import Role


class OrganizationStore(Protocol):
    """Organizations; none is ever removed."""

    def add(self, organization: Organization) -> None:
        """Keep a new organization. Raises AlreadyExistsError if the name is taken."""
        ...

    def by_id(self, organization: str) -> Organization | None:
        """Return the organization, or None."""
        ...

    def all(self) -> Sequence[Organization]:
        """Return every organization, the oldest first."""
        ...


class AccountStore(Protocol):
    """Accounts; none is ever removed, since the audit log names them."""

    def add(self, account: Account) -> None:
        """Keep a new account. Raises AlreadyExistsError if the e-mail address is taken."""
        ...

    def by_id(self, account: str) -> Account | None:
        """Return the account, or None."""
        ...

    def by_email(self, email: str) -> Account | None:
        """Return the account with this address, in lower case, or None."""
        ...

    def of(self, organization: str) -> Sequence[Account]:
        """Return the accounts of ``organization``, by e-mail address; of all for ""."""
        ...

    def set_disabled(self, account: str, when: datetime | None) -> None:
        """Disable since ``when``, with the end of all its sessions, or enable with None."""
        ...

    def set_roles(self, account: str, roles: frozenset[Role]) -> None:
        """Replace the roles."""
        ...


class CredentialStore(Protocol):
    """Passwords, second factors, recovery codes."""

    def of(self, account: str) -> Credentials | None:
        """Return the credentials of ``account``, or None."""
        ...

    def rehash(self, account: str, password_hash: str) -> None:
        """Keep another hash of the same password."""
        ...

    def accept_step(self, account: str, step: int) -> bool:
        """Note that the TOTP code of ``step`` was used; False if it or a later one was already."""
        ...

    def use_recovery_code(self, account: str, digest: bytes) -> bool:
        """Remove the code with ``digest``; False if there is none."""
        ...

    def recovery_codes_left(self, account: str) -> int:
        """Return how many recovery codes are unused."""
        ...

    def forget(self, account: str) -> None:
        """Remove credentials, recovery codes, known browsers and sessions, together."""
        ...


class EnrolmentStore(Protocol):
    """One-time links; an account has one at most."""

    def put(self, enrolment: Enrolment) -> None:
        """Keep a link in place of any other of the account."""
        ...

    def by_digest(self, digest: bytes) -> Enrolment | None:
        """Return the link, used or not, or None."""
        ...

    def complete(
        self, enrolment: Enrolment, credentials: Credentials, recovery: Sequence[bytes]
    ) -> bool:
        """Use the link up and keep what was set, together; False if it was used already.

        Replaces credentials and recovery codes, ends sessions, forgets known browsers.
        """
        ...


class SignInStore(Protocol):
    """Sign-ins under way, and browsers that completed one."""

    def put_passed(self, passed: PasswordPassedRecord) -> None:
        """Keep a sign-in under way; expired ones and all but the last 8 of the account go."""
        ...

    def try_passed(self, digest: bytes, *, limit: int) -> PasswordPassedRecord | None:
        """Count one try and return the record; None if there is none or ``limit`` is reached."""
        ...

    def drop_passed(self, digest: bytes) -> bool:
        """Remove a sign-in under way; False if it is gone already."""
        ...

    def browser(self, digest: bytes, account: str) -> KnownBrowser | None:
        """Return what is known of this browser and account, or None."""
        ...

    def put_browser(self, browser: KnownBrowser, *, instead_of: bytes) -> None:
        """Keep a known browser; what its old digest was known for moves to the new one.

        Expired ones and all but the last 20 of the account go.
        """
        ...


class SessionStore(Protocol):
    """Sessions."""

    def add(self, session: Session) -> None:
        """Keep a session; expired ones and all but the last 50 of the account go."""
        ...

    def find(self, digest: bytes) -> tuple[Session, Account] | None:
        """Return the session with its account as it is now, or None."""
        ...

    def touch(self, digest: bytes, seen: datetime) -> None:
        """Note a use."""
        ...

    def replace(self, digest: bytes, session: Session) -> bool:
        """Put ``session`` in the place of another; False if that one is gone."""
        ...

    def remove(self, digest: bytes) -> bool:
        """End one session; False if it is gone already."""
        ...

    def remove_of(self, account: str, *, but: bytes = b"") -> int:
        """End all sessions of ``account`` except ``but`` and return how many."""
        ...

    def remove_demo(self) -> int:
        """End all demo sessions and return how many."""
        ...


class TokenStore(Protocol):
    """API tokens; revoked ones stay, since the audit log names them."""

    def add(self, token: Token, digest: bytes) -> None:
        """Keep a token. Raises AlreadyExistsError if one not revoked has the name."""
        ...

    def by_digest(self, digest: bytes) -> Token | None:
        """Return the token, revoked or expired ones too, or None."""
        ...

    def of(self, organization: str) -> Sequence[Token]:
        """Return the tokens of ``organization``, by name; of all for ""."""
        ...

    def touch(self, token: str, used: datetime) -> None:
        """Note a use."""
        ...

    def revoke(self, token: str, when: datetime) -> bool:
        """Revoke; False if it was already."""
        ...


class DeviceStore(Protocol):
    """Devices, and the counter that tells that devices, certificates or zones changed."""

    def add(self, device: Device) -> None:
        """Keep a device. Raises AlreadyExistsError if its organization has the AE title."""
        ...

    def of(self, organization: str) -> Sequence[Device]:
        """Return the devices of ``organization``, by AE title; of all for ""."""
        ...

    def remove(self, device: str, when: datetime) -> bool:
        """Remove, with the revocation of its certificates; False if it is gone already."""
        ...

    def revision(self) -> int:
        """Return a number that grows with each change of a device, certificate or zone."""
        ...


class CertificateStore(Protocol):
    """Certificates of devices; none is ever removed before it expires."""

    def add(self, certificate: Certificate) -> None:
        """Keep a certificate. Raises AlreadyExistsError if one has the fingerprint."""
        ...

    def of(self, organization: str) -> Sequence[Certificate]:
        """Return the certificates of ``organization``, by AE title and age; of all for ""."""
        ...

    def revoke(self, fingerprint: str, when: datetime) -> bool:
        """Revoke; False if it was already, or is not known."""
        ...


class ZoneStore(Protocol):
    """Zones."""

    def add(self, zone: Zone) -> None:
        """Keep a zone. Raises AlreadyExistsError if its organization has the name."""
        ...

    def of(self, organization: str) -> Sequence[Zone]:
        """Return the zones of ``organization``, by name; of all for ""."""
        ...

    def remove(self, zone: str) -> bool:
        """Remove; False if it is gone already."""
        ...


class KnockStore(Protocol):
    """Peers that were refused."""

    def note(self, knocks: Sequence[Knock], *, keep: int) -> None:
        """Add to what is known of each (calling, address); only the last ``keep`` stay."""
        ...

    def all(self) -> Sequence[Knock]:
        """Return them, the last first."""
        ...

    def forget(self, calling: str) -> None:
        """Remove those with this calling AE title, which is registered now."""
        ...


class DemoLinkStore(Protocol):
    """One-time links into a demo."""

    def put(self, digest: bytes, expires: datetime) -> None:
        """Keep a link in place of any other."""
        ...

    def use(self, digest: bytes, now: datetime) -> bool:
        """Use a link up; False if there is none, or it is past its end."""
        ...

    def clear(self) -> None:
        """Forget every link."""
        ...


class SettingStore(Protocol):
    """Single facts of the installation."""

    def get(self, name: str) -> str | None:
        """Return the value, or None."""
        ...

    def fix(self, name: str, value: str) -> None:
        """Set a value that can never change. Raises AlreadyExistsError if there is one."""
        ...


class Registry(Protocol):
    """All of them; ``database.registry`` and the fake of ``testing`` have this shape."""

    @property
    def organizations(self) -> OrganizationStore: ...  # noqa: D102 - the type says it
    @property
    def accounts(self) -> AccountStore: ...  # noqa: D102 - the type says it
    @property
    def credentials(self) -> CredentialStore: ...  # noqa: D102 - the type says it
    @property
    def enrolments(self) -> EnrolmentStore: ...  # noqa: D102 - the type says it
    @property
    def sign_ins(self) -> SignInStore: ...  # noqa: D102 - the type says it
    @property
    def sessions(self) -> SessionStore: ...  # noqa: D102 - the type says it
    @property
    def tokens(self) -> TokenStore: ...  # noqa: D102 - the type says it
    @property
    def devices(self) -> DeviceStore: ...  # noqa: D102 - the type says it
    @property
    def certificates(self) -> CertificateStore: ...  # noqa: D102 - the type says it
    @property
    def zones(self) -> ZoneStore: ...  # noqa: D102 - the type says it
    @property
    def knocks(self) -> KnockStore: ...  # noqa: D102 - the type says it
    @property
    def demo_links(self) -> DemoLinkStore: ...  # noqa: D102 - the type says it
    @property
    def settings(self) -> SettingStore: ...  # noqa: D102 - the type says it
