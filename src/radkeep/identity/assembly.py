# SPDX-License-Identifier: Apache-2.0
"""Puts the use cases of this room together over one registry.

Invariant: all doors of a process share one throttle, one policy and one snapshot of devices.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from radkeep.audit.ports import AuditLog
from radkeep.domain.clock import Clock
from radkeep.identity.accounts import Accounts
from radkeep.identity.certificates import Authority, Certificates
from radkeep.identity.deeds import Deeds
from radkeep.identity.demo import Demo
from radkeep.identity.devices import Devices
from radkeep.identity.echo import EchoTest, Peers
from radkeep.identity.enrolment import Enrolment
from radkeep.identity.founding import Founding
from radkeep.identity.knocks import Knocks
from radkeep.identity.login import Login
from radkeep.identity.organizations import Organizations
from radkeep.identity.passwords import Argon2Passwords, Passwords
from radkeep.identity.policy import Policy
from radkeep.identity.ports import Registry
from radkeep.identity.recovery import Recovery
from radkeep.identity.sessions import Sessions
from radkeep.identity.throttle import Throttle
from radkeep.identity.tokens import Tokens
from radkeep.identity.zones import Zones

AE_TITLE: Final = "RADKEEP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Every use case of this room."""

    policy: Policy
    organizations: Organizations
    accounts: Accounts
    sessions: Sessions
    login: Login
    enrolment: Enrolment
    recovery: Recovery
    tokens: Tokens
    zones: Zones
    knocks: Knocks
    devices: Devices
    certificates: Certificates
    echo: EchoTest
    founding: Founding
    demo: Demo


def assemble(
    registry: Registry,
    *,
    audit: AuditLog,
    clock: Clock,
    ae_title: str = AE_TITLE,
    passwords: Passwords | None = None,
    authority: Authority | None = None,
    peers: Callable[[Devices], Peers] | None = None,
) -> Identity:
    """Return the use cases over ``registry``; one call for each process.

    ``peers`` makes the way out to devices; without it nobody can be called. Without ``authority``
    no certificate can be issued: doors that have no use for it get none.
    """
    policy, throttle = Policy(), Throttle()
    passwords = passwords or Argon2Passwords()
    deeds = Deeds(policy=policy, audit=audit, clock=clock)
    organizations = Organizations(
        organizations=registry.organizations, zones=registry.zones, deeds=deeds, clock=clock
    )
    accounts = Accounts(accounts=registry.accounts, deeds=deeds, clock=clock)
    sessions = Sessions(
        registry=registry,
        passwords=passwords,
        throttle=throttle,
        deeds=deeds,
        audit=audit,
        clock=clock,
    )
    enrolment = Enrolment(registry=registry, passwords=passwords, deeds=deeds, clock=clock)
    knocks = Knocks(
        knocks=registry.knocks,
        organizations=registry.organizations,
        deeds=deeds,
        audit=audit,
        clock=clock,
    )
    devices = Devices(
        devices=registry.devices,
        certificates=registry.certificates,
        zones=registry.zones,
        knocks=knocks,
        deeds=deeds,
        clock=clock,
        ae_title=ae_title,
    )
    return Identity(
        policy=policy,
        organizations=organizations,
        accounts=accounts,
        sessions=sessions,
        login=Login(
            registry=registry,
            sessions=sessions,
            passwords=passwords,
            throttle=throttle,
            audit=audit,
            clock=clock,
        ),
        enrolment=enrolment,
        recovery=Recovery(registry=registry, enrolment=enrolment, deeds=deeds),
        tokens=Tokens(tokens=registry.tokens, deeds=deeds, audit=audit, clock=clock),
        zones=Zones(zones=registry.zones, deeds=deeds, clock=clock),
        knocks=knocks,
        devices=devices,
        echo=EchoTest(
            devices=devices, deeds=deeds, peers=peers(devices) if peers is not None else None
        ),
        certificates=Certificates(
            certificates=registry.certificates,
            devices=registry.devices,
            authority=authority,
            deeds=deeds,
            clock=clock,
        ),
        founding=Founding(
            settings=registry.settings,
            organizations=organizations,
            accounts=accounts,
            enrolment=enrolment,
            deeds=deeds,
        ),
        demo=Demo(registry=registry, sessions=sessions, deeds=deeds, clock=clock),
    )
