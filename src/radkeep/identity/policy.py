# SPDX-License-Identifier: Apache-2.0
"""The one decision that every door and every use case asks for.

Invariant: nothing is permitted by default. An actor reaches only its own organization; the host's
operator and the server itself, which serve all, still need the permission.
"""

from typing import Final

from radkeep.domain.actor import Actor, ActorKind
from radkeep.domain.errors import ForbiddenError, InvalidRequestError
from radkeep.identity.permissions import Permission

INSTALLATION: Final = ""  # the "organization" of deeds that concern all, as making another one
_SERVE_ALL: Final = frozenset({ActorKind.LOCAL, ActorKind.SYSTEM})


class Policy:
    """Decides; holds no state. Thread-safe."""

    def require(self, actor: Actor, permission: Permission, *, organization: str) -> None:
        """Return only if ``actor`` has ``permission`` on what belongs to ``organization``.

        Raises:
            ForbiddenError: otherwise.
        """
        if not _same_organization(actor, organization):
            raise ForbiddenError("this belongs to another organization")
        if permission not in actor.permissions:
            raise ForbiddenError(f"this needs the permission {permission}")


def own_organization(actor: Actor, what: str) -> str:
    """Return the organization in which ``actor`` makes ``what``.

    Raises:
        InvalidRequestError: ``actor`` serves all organizations and has named none.
    """
    if not actor.organization:
        raise InvalidRequestError(f"{what} belongs to an organization: name one")
    return actor.organization


def _same_organization(actor: Actor, organization: str) -> bool:
    if actor.organization:
        return actor.organization == organization
    return actor.kind in _SERVE_ALL
