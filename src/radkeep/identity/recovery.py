# SPDX-License-Identifier: Apache-2.0
"""Recovery at the host: for who lost password, factor and recovery codes.

Invariant: only somebody who works on the server itself can do it, so no remote attacker can; a
sole administrator is never locked out; the old credentials and sessions are gone before the new
link exists.
"""

from radkeep.audit.events import Action, EventType
from radkeep.domain.actor import Actor
from radkeep.domain.errors import NotFoundError
from radkeep.identity import names, ports
from radkeep.identity.deeds import Deeds
from radkeep.identity.enrolment import Enrolment, Link
from radkeep.identity.permissions import Permission


class Recovery:
    """Gives an account back to its owner. Thread-safe."""

    def __init__(self, *, registry: ports.Registry, enrolment: Enrolment, deeds: Deeds) -> None:
        self._accounts = registry.accounts
        self._credentials = registry.credentials
        self._enrolment = enrolment
        self._deeds = deeds

    def recover(self, actor: Actor, email: str) -> Link:
        """Remove credentials, known browsers and sessions, and return a new enrolment link.

        A disabled account stays disabled: enable it first.

        Raises:
            ForbiddenError: ``actor`` is not the host's operator.
            NotFoundError: no active account has this e-mail address.
        """
        deed = "account.recover"
        self._deeds.require_at_host(actor, deed)
        account = self._accounts.by_email(names.email_address(email))
        if account is None or account.disabled is not None or account.demo:
            raise NotFoundError("no active account has this e-mail address")
        self._deeds.require(
            actor, Permission.ACCOUNT_MANAGE, organization=account.organization, deed=deed
        )
        with self._deeds.change(
            actor,
            deed,
            kind=EventType.USER_SECURITY_ATTRIBUTES_CHANGED,
            action=Action.UPDATE,
            organization=account.organization,
            detail={"account": account.id, "email": account.email},
        ):
            self._credentials.forget(account.id)
            return self._enrolment.new_link(account)
