# SPDX-License-Identifier: Apache-2.0
"""Enrolment: a one-time link with which a person, and nobody else, sets password and factor.

Invariant: a link works once and for one hour; no other use case sets a password; whoever already
has one is not given a link here (``recovery`` is for that).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from radkeep.audit.events import Action, EventType
from radkeep.crypto import otp
from radkeep.crypto.tokens import new_token, token_digest
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import (
    AlreadyExistsError,
    InvalidRequestError,
    Kind,
    NotFoundError,
    UnauthenticatedError,
)
from radkeep.identity import actors, names, ports, recovery_codes
from radkeep.identity.deeds import Deeds
from radkeep.identity.passwords import Passwords
from radkeep.identity.permissions import Permission
from radkeep.identity.records import Account, Credentials
from radkeep.identity.records import Enrolment as Record
from radkeep.identity.strength import require_strong

VALID: Final = timedelta(hours=1)
ISSUER: Final = "Radkeep"  # in the authenticator app


class LinkExpiredError(UnauthenticatedError):
    """The link was used, is too old, or was replaced by another."""

    kind, code = Kind.UNAUTHENTICATED, "link-expired"


class AlreadyEnrolledError(AlreadyExistsError):
    """The account has a password and a second factor; only recovery at the host replaces them."""

    kind, code = Kind.CONFLICT, "already-enrolled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What the person gets: the token goes into the page's address."""

    token: str
    email: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the enrolment page shows."""

    email: str
    name: str
    totp_uri: str  # for a QR code
    totp_secret: str  # to be typed, base32
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """Done. The recovery codes are shown once."""

    account: Account
    totp_uri: str
    recovery_codes: Sequence[str]


class Enrolment:
    """Makes and redeems links. Thread-safe."""

    def __init__(
        self, *, registry: ports.Registry, passwords: Passwords, deeds: Deeds, clock: Clock
    ) -> None:
        self._accounts = registry.accounts
        self._organizations = registry.organizations
        self._enrolments = registry.enrolments
        self._passwords = passwords
        self._deeds = deeds
        self._clock = clock

    def create_link(self, actor: Actor, email: str) -> Link:
        """Return a link for an account that is not enrolled yet; earlier ones stop working.

        Raises:
            ForbiddenError: ``actor`` may not manage accounts.
            NotFoundError: no such account in the actor's organization, or it is disabled.
            AlreadyEnrolledError: it is enrolled.
        """
        deed = "enrolment.link"
        self._deeds.require(
            actor, Permission.ACCOUNT_MANAGE, organization=actor.organization, deed=deed
        )
        account = self._accounts.by_email(names.email_address(email))
        if (
            account is None
            or account.disabled is not None
            or account.demo
            or actor.organization not in ("", account.organization)
        ):
            raise NotFoundError("no active account has this e-mail address")
        if account.enrolled:
            raise AlreadyEnrolledError("the account is enrolled; recover it at the host")
        with self._deeds.change(
            actor,
            deed,
            kind=EventType.USER_SECURITY_ATTRIBUTES_CHANGED,
            action=Action.CREATE,
            organization=account.organization,
            detail={"account": account.id, "email": account.email},
        ):
            return self.new_link(account)

    def new_link(self, account: Account) -> Link:
        """Return a link without a decision or a record: ``recovery`` has made both."""
        now = self._clock.now()
        link = Link(token=new_token(), email=account.email, expires=now + VALID)
        self._enrolments.put(
            Record(
                digest=token_digest(link.token),
                account=account.id,
                totp_secret=otp.new_secret(),
                created=now,
                expires=link.expires,
            )
        )
        return link

    def offer(self, token: str) -> Offer:
        """Return what the page of this link shows; looking does not use the link up.

        Raises:
            LinkExpiredError: the link does not work.
        """
        record, account = self._open(token)
        return Offer(
            email=account.email,
            name=account.name,
            totp_uri=_uri(record, account),
            totp_secret=otp.base32(record.totp_secret),
            expires=record.expires,
        )

    def redeem(self, token: str, password: str, code: str, *, address: str = "") -> Enrolled:
        """Set the password and the second factor, whose first code proves that the app has it.

        Raises:
            LinkExpiredError: the link does not work.
            WeakPasswordError: the password is too short or easy to guess; the link still works.
            WrongCodeError: the code is wrong; the link still works.
        """
        record, account = self._open(token)
        step = otp.verify(record.totp_secret, code, now=self._clock.now())
        return self._complete(
            record, account, password, step, by=actors.person(account, address=address)
        )

    def redeem_at_host(self, actor: Actor, token: str, password: str) -> Enrolled:
        """Do the same for a script at the host, which gets the TOTP secret instead of a QR code.

        Raises:
            ForbiddenError: ``actor`` is not the host's operator.
            LinkExpiredError, WeakPasswordError: as for ``redeem``.
        """
        self._deeds.require_at_host(actor, "enrolment.redeem")
        record, account = self._open(token)
        return self._complete(record, account, password, step=-1, by=actor)

    def _open(self, token: str) -> tuple[Record, Account]:
        record = self._enrolments.by_digest(token_digest(token))
        account = self._accounts.by_id(record.account) if record else None
        if (
            record is None
            or account is None
            or account.disabled is not None
            or record.used is not None
            or self._clock.now() >= record.expires
        ):
            raise LinkExpiredError("the link was used or is too old; ask for another")
        return record, account

    def _complete(
        self, record: Record, account: Account, password: str, step: int, *, by: Actor
    ) -> Enrolled:
        organization = self._organizations.by_id(account.organization)
        context = [account.email, account.name, organization.name if organization else ""]
        require_strong(password, context=context)
        credentials = Credentials(
            account=account.id,
            password_hash=self._passwords.hash(password),
            totp_secret=record.totp_secret,
            totp_step=step,
            changed=self._clock.now(),
        )
        codes = recovery_codes.new_codes()
        digests = [digest for code in codes if (digest := recovery_codes.parse(code))]
        if len(digests) != recovery_codes.COUNT:
            raise InvalidRequestError("a recovery code does not parse")
        with self._deeds.change(
            by,
            "enrolment.redeem",
            kind=EventType.USER_SECURITY_ATTRIBUTES_CHANGED,
            action=Action.UPDATE,
            organization=account.organization,
            detail={"account": account.id, "email": account.email},
        ):
            if not self._enrolments.complete(record, credentials, digests):
                raise LinkExpiredError("the link was used or is too old; ask for another")
        return Enrolled(
            account=account, totp_uri=_uri(record, account), recovery_codes=tuple(codes)
        )


def _uri(record: Record, account: Account) -> str:
    return otp.provisioning_uri(record.totp_secret, account=account.email, issuer=ISSUER)
