# SPDX-License-Identifier: Apache-2.0
"""How accounts, devices, tokens and the host's own users become actors.

Invariant: permissions are computed here and nowhere else, from what the registry says now.
"""

from radkeep.domain.actor import Actor, ActorKind
from radkeep.identity.permissions import (
    EVERYTHING,
    Permission,
    permissions_of_scopes,
    permissions_of_services,
)
from radkeep.identity.records import Account, Device, Session, Token
from radkeep.identity.roles import permissions_of


def person(account: Account, session: Session | None = None, *, address: str = "") -> Actor:
    """Return the actor of ``account``; without a session it may do nothing."""
    return Actor(
        kind=ActorKind.PERSON,
        id=account.id,
        name=account.email,
        organization=account.organization,
        permissions=permissions_of(account.roles) if session else frozenset(),
        address=address,
        session=session.id if session else "",
        demo=account.demo,
    )


def device(record: Device, *, address: str, session: str = "") -> Actor:
    """Return the actor of a registered device."""
    return Actor(
        kind=ActorKind.DEVICE,
        id=record.ae_title,
        name=record.ae_title,
        organization=record.organization,
        permissions=permissions_of_services(record.services),
        address=address,
        session=session,
    )


def service(token: Token, *, address: str = "") -> Actor:
    """Return the actor of an API token."""
    return Actor(
        kind=ActorKind.SERVICE,
        id=token.id,
        name=token.name,
        organization=token.organization,
        permissions=permissions_of_scopes(token.scopes),
        address=address,
        session=token.id,
    )


def local(user: int, *, organization: str = "") -> Actor:
    """Return the actor of operating-system user ``user``, who proved it by peer credentials.

    Whoever runs the server can read its memory: withholding a permission would only feign safety.
    With an ``organization`` the actor stays within it; without one it serves all.
    """
    return Actor(
        kind=ActorKind.LOCAL,
        id=f"local:{user}",
        name=f"local:{user}",
        organization=organization,
        permissions=EVERYTHING,
    )


def system(process: str, *permissions: Permission, organization: str = "") -> Actor:
    """Return the actor of our own process, with just the ``permissions`` its work needs."""
    return Actor(
        kind=ActorKind.SYSTEM,
        id=process,
        name=process,
        organization=organization,
        permissions=frozenset(permissions),
    )


def stranger(address: str, *, name: str = "", kind: ActorKind = ActorKind.PERSON) -> Actor:
    """Return who knocks and has proved nothing; it may do nothing and exists for the audit log."""
    return Actor(
        kind=kind,
        id="unknown",
        name=name,
        organization="",
        permissions=frozenset(),
        address=address,
    )
