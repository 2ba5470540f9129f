# SPDX-License-Identifier: Apache-2.0
"""Accounts of people: made, listed, given roles, disabled.

Invariant: nobody changes their own roles or disables themselves; no account has a password until
its owner chooses one; disabling ends every session in the same step.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from radkeep.audit.events import Action, EventType
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import (
    AlreadyExistsError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
)
from radkeep.identity import names, ports
from radkeep.identity.deeds import Deeds
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import own_organization
from radkeep.identity.records import Account
from radkeep.identity.roles import Role, parse_roles


class Accounts:
    """Manages accounts. Thread-safe."""

    def __init__(self, *, accounts: ports.AccountStore, deeds: Deeds, clock: Clock) -> None:
        self._accounts = accounts
        self._deeds = deeds
        self._clock = clock

    def create(
        self,
        actor: Actor,
        email: str,
        *,
        name: str = "",
        roles: Iterable[str],
        demo: bool = False,
    ) -> Account:
        """Make an account in the actor's organization; it can sign in once it is enrolled.

        Raises:
            ForbiddenError: ``actor`` may not manage accounts.
            InvalidRequestError: not an e-mail address, no or unknown roles.
            AlreadyExistsError: the address has an account, in whichever organization.
        """
        deed = "account.create"
        self._deeds.require(
            actor, Permission.ACCOUNT_MANAGE, organization=actor.organization, deed=deed
        )
        made = self._new(actor, email, name=name, roles=roles, demo=demo)
        with self._deeds.change(
            actor,
            deed,
            kind=EventType.USER_SECURITY_ATTRIBUTES_CHANGED,
            action=Action.CREATE,
            organization=made.organization,
            detail={"account": made.id, "email": made.email, "roles": ",".join(sorted(made.roles))},
        ):
            try:
                self._accounts.add(made)
            except AlreadyExistsError as error:
                raise AlreadyExistsError("this e-mail address has an account") from error
        return made

    def list(self, actor: Actor) -> Sequence[Account]:
        """Return the accounts of the actor's organization, by e-mail address.

        Raises:
            ForbiddenError: ``actor`` may not manage accounts.
        """
        self._deeds.require(
            actor,
            Permission.ACCOUNT_MANAGE,
            organization=actor.organization,
            deed="account.list",
        )
        return self._accounts.of(actor.organization)

    def find(self, actor: Actor, email: str) -> Account:
        """Return the account with this e-mail address, if the actor's organization has it.

        Raises:
            ForbiddenError: ``actor`` may not manage accounts.
            NotFoundError: it has not.
        """
        self._deeds.require(
            actor,
            Permission.ACCOUNT_MANAGE,
            organization=actor.organization,
            deed="account.find",
        )
        account = self._accounts.by_email(names.email_address(email))
        if account is None or actor.organization not in ("", account.organization):
            raise NotFoundError("no account has this e-mail address")
        return account

    def disable(self, actor: Actor, email: str) -> None:
        """Let the account do nothing any more, from now on, and end its sessions.

        Raises:
            ForbiddenError: ``actor`` may not manage accounts, or it is the actor's own.
            NotFoundError: no such account.
        """
        with self._changing(actor, email, "account.disable") as account:
            self._accounts.set_disabled(account.id, self._clock.now())

    def enable(self, actor: Actor, email: str) -> None:
        """Undo ``disable``; sessions do not come back.

        Raises:
            ForbiddenError: ``actor`` may not manage accounts, or it is the actor's own.
            NotFoundError: no such account.
        """
        with self._changing(actor, email, "account.enable") as account:
            self._accounts.set_disabled(account.id, None)

    def set_roles(self, actor: Actor, email: str, roles: Iterable[str]) -> None:
        """Replace the roles, for open sessions too.

        Raises:
            ForbiddenError: ``actor`` may not manage accounts, or it is the actor's own.
            InvalidRequestError: no or unknown roles.
            NotFoundError: no such account.
        """
        wanted = _some(roles)
        text = ",".join(sorted(wanted))
        with self._changing(actor, email, "account.roles", roles=text) as account:
            self._accounts.set_roles(account.id, wanted)

    def _new(
        self, actor: Actor, email: str, *, name: str, roles: Iterable[str], demo: bool
    ) -> Account:
        organization = own_organization(actor, "an account")
        address = names.email_address(email)
        return Account(
            id=secrets.token_hex(16),
            organization=organization,
            email=address,
            name=names.label(name or address.partition("@")[0][: names.MAX_LABEL], "person"),
            roles=_some(roles),
            created=self._clock.now(),
            demo=demo,
        )

    @contextmanager
    def _changing(self, actor: Actor, email: str, deed: str, **detail: str) -> Iterator[Account]:
        account = self.find(actor, email)
        if account.id == actor.id:
            self._deeds.refused(actor, deed, "own account")
            raise ForbiddenError("another person must change this account")
        with self._deeds.change(
            actor,
            deed,
            kind=EventType.USER_SECURITY_ATTRIBUTES_CHANGED,
            action=Action.UPDATE,
            organization=account.organization,
            detail={"account": account.id, "email": account.email, **detail},
        ):
            yield account


def has_enrolled_administrator(accounts: ports.AccountStore) -> bool:
    """Tell whether somebody can sign in and manage accounts; other hosts need that first."""
    return any(
        account.enrolled and account.disabled is None and Role.ADMINISTRATOR in account.roles
        for account in accounts.of("")
    )


def _some(roles: Iterable[str]) -> frozenset[Role]:
    parsed = parse_roles(roles)
    if not parsed:
        raise InvalidRequestError("an account has at least one role")
    return parsed
