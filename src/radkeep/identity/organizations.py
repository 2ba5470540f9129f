# SPDX-License-Identifier: Apache-2.0
"""Organizations: clinics that share one installation and know nothing of each other.

Invariant: only the host's operator makes one; each begins with the zone ``loopback``.
"""

import secrets
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Final

from radkeep.audit.events import Action, EventType
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import InvalidRequestError, NotFoundError
from radkeep.identity import names, ports
from radkeep.identity.deeds import Deeds
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import INSTALLATION
from radkeep.identity.records import Organization, Zone

LOOPBACK: Final = "loopback"


class Organizations:
    """Makes and finds organizations. Thread-safe."""

    def __init__(
        self,
        *,
        organizations: ports.OrganizationStore,
        zones: ports.ZoneStore,
        deeds: Deeds,
        clock: Clock,
    ) -> None:
        self._organizations = organizations
        self._zones = zones
        self._deeds = deeds
        self._clock = clock

    def create(self, actor: Actor, name: str) -> Organization:
        """Make an organization with its ``loopback`` zone; the caller makes its key.

        Raises:
            ForbiddenError: ``actor`` does not serve the whole installation.
            InvalidRequestError: not a name.
            AlreadyExistsError: the name is taken.
        """
        deed = "organization.create"
        self._deeds.require(
            actor, Permission.ORGANIZATION_MANAGE, organization=INSTALLATION, deed=deed
        )
        now = self._clock.now()
        made = Organization(
            id=secrets.token_hex(16), name=names.label(name, "organization"), created=now
        )
        loopback = Zone(
            id=secrets.token_hex(16),
            organization=made.id,
            name=LOOPBACK,
            networks=(ip_network("127.0.0.0/8"),),
            plaintext=True,
            reason="programs on this machine; nothing of it crosses a network",
            review=None,
            created=now,
        )
        with self._deeds.change(
            actor,
            deed,
            kind=EventType.SECURITY_CONFIGURATION,
            action=Action.CREATE,
            organization=made.id,
            detail={"name": made.name},
        ):
            self._organizations.add(made)
            self._zones.add(loopback)
        return made

    def list(self, actor: Actor) -> Sequence[Organization]:
        """Return the organizations that ``actor`` may know of: its own, or all."""
        every = self._organizations.all()
        return [each for each in every if actor.organization in ("", each.id)]

    def find(self, name: str = "") -> Organization:
        """Return the organization with this name or id; without one, the only one there is.

        For the host's operator, who then acts within it.

        Raises:
            NotFoundError: there is none.
            InvalidRequestError: no name, and there are several.
        """
        every = self._organizations.all()
        if name:
            found = [each for each in every if name in (each.id, each.name)]
        elif len(every) > 1:
            raise InvalidRequestError("there are several organizations: name one")
        else:
            found = list(every)
        if not found:
            raise NotFoundError("no such organization")
        return found[0]
