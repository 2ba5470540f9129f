# SPDX-License-Identifier: Apache-2.0
"""One clinic over a registry in memory, with a clock that waits and passwords that cost nothing.

Invariant: its people are enrolled and sign in through the real use cases, never around them.
"""

import base64
from dataclasses import dataclass, field
from typing import Final

from radkeep.audit.events import Event, EventId
from radkeep.crypto import otp
from radkeep.domain.actor import Actor
from radkeep.identity import actors
from radkeep.identity.assembly import Identity, assemble
from radkeep.identity.login import SignedIn
from radkeep.identity.records import Organization
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.authority import MemoryAuthority
from radkeep.testing.identity import FakeClock, MemoryRegistry, PlainPasswords

PASSWORD: Final = "tiger-lamp-orbit-94"  # noqa: S105 - of people in tests
HERE: Final = "10.0.0.7"


@dataclass
class Clinic:
    """A new installation with its organization "Mercy"."""

    registry: MemoryRegistry = field(default_factory=MemoryRegistry)
    audit: MemoryAuditLog = field(default_factory=MemoryAuditLog)
    clock: FakeClock = field(default_factory=FakeClock)
    passwords: PlainPasswords = field(default_factory=PlainPasswords)
    secrets: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin the installation."""
        self.identity: Identity = assemble(
            self.registry,
            audit=self.audit,
            clock=self.clock,
            passwords=self.passwords,
            authority=MemoryAuthority(self.clock),
        )
        self.host = actors.local(0)  # serves all organizations
        self.organization: Organization = self.identity.organizations.create(self.host, "Mercy")
        self.operator = actors.local(0, organization=self.organization.id)

    def within(self, organization: str) -> Actor:
        """Return the host's operator at work in another organization."""
        return actors.local(0, organization=organization)

    def person(self, email: str, *roles: str) -> None:
        """Make an account and enrol it with PASSWORD."""
        self.identity.accounts.create(self.operator, email, roles=roles or ["radiologist"])
        self.enrol(email)

    def enrol(self, email: str) -> tuple[str, ...]:
        """Enrol an account, wait for the next code, and return the recovery codes."""
        link = self.identity.enrolment.create_link(self.operator, email)
        return self.redeem(email, link.token)

    def redeem(self, email: str, token: str) -> tuple[str, ...]:
        """Use a link up with PASSWORD, wait for the next code, and return the recovery codes."""
        offer = self.identity.enrolment.offer(token)
        self.secrets[email] = base64.b32decode(offer.totp_secret)
        done = self.identity.enrolment.redeem(token, PASSWORD, self.code(email), address=HERE)
        self.clock.pass_(seconds=30)
        return tuple(done.recovery_codes)

    def code(self, email: str, *, steps: int = 0) -> str:
        """Return what the person's app shows now."""
        return otp.code_at(self.secrets[email], otp.step_at(self.clock.now()) + steps)

    def sign_in(self, email: str, *, address: str = HERE, cookie: str = "") -> SignedIn:
        """Sign in with the right password and a fresh code."""
        self.clock.pass_(seconds=30)
        return self.identity.login.sign_in(
            email, PASSWORD, self.code(email), address=address, device_cookie=cookie
        )

    def actor(self, email: str, *roles: str) -> Actor:
        """Make, enrol and sign in a person."""
        self.person(email, *roles)
        return self.identity.sessions.actor(self.sign_in(email).session_token, address=HERE)

    def events(self, event: EventId, **detail: str) -> list[Event]:
        """Return the audited events of one kind whose detail has these values."""
        return [
            each
            for each in self.audit.of(event)
            if all(each.detail.get(key) == value for key, value in detail.items())
        ]
