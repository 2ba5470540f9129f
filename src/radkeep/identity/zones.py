# SPDX-License-Identifier: Apache-2.0
"""Zones: named parts of the network, and the only place where plaintext DIMSE can be allowed.

Invariant: plaintext is allowed only from private addresses (RFC 1918, RFC 4193 and the like), for a
reason, and until a day on which somebody looks at it again. Of overlapping zones the narrowest
speaks.
"""

import secrets
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from radkeep.audit.events import Action, EventType
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import InvalidRequestError, NotFoundError
from radkeep.identity import names, ports
from radkeep.identity.deeds import Deeds
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import own_organization
from radkeep.identity.records import Zone

REVIEW: Final = timedelta(days=366)  # no later than this


class Zones:
    """Manages zones. Thread-safe."""

    def __init__(self, *, zones: ports.ZoneStore, deeds: Deeds, clock: Clock) -> None:
        self._zones = zones
        self._deeds = deeds
        self._clock = clock

    def add(
        self,
        actor: Actor,
        name: str,
        networks: Iterable[str],
        *,
        plaintext: bool = False,
        reason: str = "",
        review: date | None = None,
    ) -> Zone:
        """Add a zone to the actor's organization.

        Raises:
            ForbiddenError: ``actor`` may not manage zones.
            InvalidRequestError: no or wrong networks, or plaintext without a reason, without a
                review within a year, or from public addresses.
            AlreadyExistsError: the name is taken.
        """
        deed = "zone.add"
        self._deeds.require(
            actor, Permission.ZONE_MANAGE, organization=actor.organization, deed=deed
        )
        organization = own_organization(actor, "a zone")
        now = self._clock.now()
        zone = Zone(
            id=secrets.token_hex(16),
            organization=organization,
            name=names.label(name, "zone"),
            networks=names.networks(networks),
            plaintext=plaintext,
            reason=names.label(reason, "reason") if reason else "",
            review=review,
            created=now,
        )
        _check(zone, now.date())
        with self._changing(actor, deed, zone, Action.CREATE):
            self._zones.add(zone)
        return zone

    def list(self, actor: Actor) -> Sequence[Zone]:
        """Return the zones of the actor's organization, by name.

        Raises:
            ForbiddenError: ``actor`` may not manage zones.
        """
        self._deeds.require(
            actor, Permission.ZONE_MANAGE, organization=actor.organization, deed="zone.list"
        )
        return self._zones.of(actor.organization)

    def remove(self, actor: Actor, name: str) -> None:
        """Remove the zone with this name or id; plaintext peers in it are refused from now on.

        Raises:
            ForbiddenError: ``actor`` may not manage zones.
            NotFoundError: the actor's organization has no such zone.
        """
        deed = "zone.remove"
        self._deeds.require(
            actor, Permission.ZONE_MANAGE, organization=actor.organization, deed=deed
        )
        for zone in self._zones.of(actor.organization):
            if name in (zone.id, zone.name):
                with self._changing(actor, deed, zone, Action.DELETE):
                    self._zones.remove(zone.id)
                return
        raise NotFoundError("no such zone")

    def _changing(
        self, actor: Actor, deed: str, zone: Zone, action: Action
    ) -> AbstractContextManager[None]:
        return self._deeds.change(
            actor,
            deed,
            kind=EventType.NETWORK_CONFIGURATION,
            action=action,
            organization=zone.organization,
            detail={
                "zone": zone.name,
                "networks": ",".join(map(str, zone.networks)),
                "plaintext": "yes" if zone.plaintext else "no",
                "reason": zone.reason,
            },
        )


def narrowest(zones: Iterable[Zone], address: IPv4Address | IPv6Address) -> Zone | None:
    """Return the zone whose network holds ``address`` with the longest prefix.

    Of equally narrow ones, one that forbids plaintext comes first.
    """
    holding = [
        (network.prefixlen, not zone.plaintext, zone)
        for zone in zones
        for network in zone.networks
        if address in network
    ]
    return max(holding, key=lambda found: found[:2])[2] if holding else None


def _check(zone: Zone, today: date) -> None:
    if not zone.networks:
        raise InvalidRequestError("a zone has at least one network")
    if not zone.plaintext:
        return
    if not zone.reason or zone.review is None:
        raise InvalidRequestError("plaintext needs a reason and a day of review")
    if not today < zone.review <= today + REVIEW:
        raise InvalidRequestError("the review is in the future, within a year")
    if not all(network.is_private for network in zone.networks):
        raise InvalidRequestError("plaintext is allowed from private addresses only")
