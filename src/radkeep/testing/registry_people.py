# SPDX-License-Identifier: Apache-2.0
"""People in the registry in memory: organizations, accounts and how they sign in.

Invariant: each part passes its contract in ``testing.identity_contracts``.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from radkeep.identity.records import (
    Account,
    Credentials,
    Enrolment,
    KnownBrowser,
    Organization,
    PasswordPassedRecord,
    Session,
)
from radkeep.identity.roles import Role
from radkeep.testing.registry_state import Part, atomic, drop, forget_all, trim, unless


@atomic
class MemoryOrganizations(Part):
    """Satisfies ``identity.ports.OrganizationStore``."""

    def add(self, organization: Organization) -> None:
        """Keep a new organization."""
        unless(any(o.name == organization.name for o in self._state.organizations.values()))
        self._state.organizations[organization.id] = organization

    def by_id(self, organization: str) -> Organization | None:
        """Return the organization, or None."""
        return self._state.organizations.get(organization)

    def all(self) -> Sequence[Organization]:
        """Return every organization, the oldest first."""
        return sorted(self._state.organizations.values(), key=lambda o: (o.created, o.id))


@atomic
class MemoryAccounts(Part):
    """Satisfies ``identity.ports.AccountStore``."""

    def add(self, account: Account) -> None:
        """Keep a new account."""
        unless(any(a.email == account.email for a in self._state.accounts.values()))
        self._state.accounts[account.id] = account

    def by_id(self, account: str) -> Account | None:
        """Return the account, or None."""
        found = self._state.accounts.get(account)
        return replace(found, enrolled=account in self._state.credentials) if found else None

    def by_email(self, email: str) -> Account | None:
        """Return the account with this address, or None."""
        found = [a.id for a in self._state.accounts.values() if a.email == email]
        return self.by_id(found[0]) if found else None

    def of(self, organization: str) -> Sequence[Account]:
        """Return the accounts of ``organization``; of all for ""."""
        found = [
            replace(a, enrolled=a.id in self._state.credentials)
            for a in self._state.accounts.values()
            if organization in ("", a.organization)
        ]
        return sorted(found, key=lambda a: a.email)

    def set_disabled(self, account: str, when: datetime | None) -> None:
        """Disable or enable."""
        state = self._state
        state.accounts[account] = replace(state.accounts[account], disabled=when)
        if when is not None:
            drop(state.sessions, account)
            drop(state.passed, account)

    def set_roles(self, account: str, roles: frozenset[Role]) -> None:
        """Replace the roles."""
        self._state.accounts[account] = replace(self._state.accounts[account], roles=roles)


@atomic
class MemoryCredentials(Part):
    """Satisfies ``identity.ports.CredentialStore``."""

    def of(self, account: str) -> Credentials | None:
        """Return the credentials of ``account``, or None."""
        return self._state.credentials.get(account)

    def rehash(self, account: str, password_hash: str) -> None:
        """Keep another hash of the same password."""
        held = self._state.credentials[account]
        self._state.credentials[account] = replace(held, password_hash=password_hash)

    def accept_step(self, account: str, step: int) -> bool:
        """Note that the TOTP code of ``step`` was used."""
        held = self._state.credentials.get(account)
        if held is None or held.totp_step >= step:
            return False
        self._state.credentials[account] = replace(held, totp_step=step)
        return True

    def use_recovery_code(self, account: str, digest: bytes) -> bool:
        """Remove the code with ``digest``."""
        codes = self._state.recovery.get(account, set())
        if digest not in codes:
            return False
        codes.remove(digest)
        return True

    def recovery_codes_left(self, account: str) -> int:
        """Return how many recovery codes are unused."""
        return len(self._state.recovery.get(account, ()))

    def forget(self, account: str) -> None:
        """Remove all by which ``account`` could come in."""
        forget_all(self._state, account)


@atomic
class MemoryEnrolments(Part):
    """Satisfies ``identity.ports.EnrolmentStore``."""

    def put(self, enrolment: Enrolment) -> None:
        """Keep a link in place of any other of the account."""
        self._state.enrolments[enrolment.account] = enrolment

    def by_digest(self, digest: bytes) -> Enrolment | None:
        """Return the link, or None."""
        found = [e for e in self._state.enrolments.values() if e.digest == digest]
        return found[0] if found else None

    def complete(
        self, enrolment: Enrolment, credentials: Credentials, recovery: Sequence[bytes]
    ) -> bool:
        """Use the link up and keep what was set, together."""
        held = self.by_digest(enrolment.digest)
        if held is None or held.used is not None:
            return False
        used = replace(held, used=credentials.changed, totp_secret=b"")
        self._state.enrolments[held.account] = used
        forget_all(self._state, held.account)
        self._state.credentials[held.account] = credentials
        self._state.recovery[held.account] = set(recovery)
        return True


@atomic
class MemorySignIns(Part):
    """Satisfies ``identity.ports.SignInStore``."""

    def put_passed(self, passed: PasswordPassedRecord) -> None:
        """Keep a sign-in under way."""
        self._state.passed[passed.digest] = passed
        trim(self._state.passed, passed, 8)

    def try_passed(self, digest: bytes, *, limit: int) -> PasswordPassedRecord | None:
        """Count one try and return the record."""
        held = self._state.passed.get(digest)
        if held is None or held.tries >= limit:
            return None
        self._state.passed[digest] = counted = replace(held, tries=held.tries + 1)
        return counted

    def drop_passed(self, digest: bytes) -> bool:
        """Remove a sign-in under way."""
        return self._state.passed.pop(digest, None) is not None

    def browser(self, digest: bytes, account: str) -> KnownBrowser | None:
        """Return what is known of this browser and account, or None."""
        return self._state.browsers.get((digest, account))

    def put_browser(self, browser: KnownBrowser, *, instead_of: bytes) -> None:
        """Keep a known browser."""
        browsers = self._state.browsers
        for digest, account in list(browsers):
            if digest == instead_of:
                moved = replace(browsers.pop((digest, account)), digest=browser.digest)
                browsers[browser.digest, account] = moved
        browsers[browser.digest, browser.account] = browser
        trim(browsers, browser, 20)


@atomic
class MemorySessions(Part):
    """Satisfies ``identity.ports.SessionStore``."""

    def add(self, session: Session) -> None:
        """Keep a session."""
        self._state.sessions[session.digest] = session
        trim(self._state.sessions, session, 50)

    def find(self, digest: bytes) -> tuple[Session, Account] | None:
        """Return the session with its account as it is now, or None."""
        session = self._state.sessions.get(digest)
        account = MemoryAccounts(self._state).by_id(session.account) if session else None
        return (session, account) if session and account else None

    def touch(self, digest: bytes, seen: datetime) -> None:
        """Note a use."""
        if digest in self._state.sessions:
            self._state.sessions[digest] = replace(self._state.sessions[digest], seen=seen)

    def replace(self, digest: bytes, session: Session) -> bool:
        """Put ``session`` in the place of another."""
        if not self.remove(digest):
            return False
        self.add(session)
        return True

    def remove(self, digest: bytes) -> bool:
        """End one session."""
        return self._state.sessions.pop(digest, None) is not None

    def remove_of(self, account: str, *, but: bytes = b"") -> int:
        """End all sessions of ``account`` except ``but``."""
        return drop(self._state.sessions, account, but=but)

    def remove_demo(self) -> int:
        """End all demo sessions."""
        demo = [digest for digest, session in self._state.sessions.items() if session.demo]
        return sum(self.remove(digest) for digest in demo)
