# SPDX-License-Identifier: Apache-2.0
"""The JSON API's addresses.

Invariant: every route is in the description at ``openapi.json``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from radkeep.identity.accounts import Accounts
from radkeep.identity.certificates import Certificates
from radkeep.identity.demo import Demo
from radkeep.identity.devices import Devices
from radkeep.identity.echo import EchoTest
from radkeep.identity.enrolment import Enrolment
from radkeep.identity.knocks import Knocks
from radkeep.identity.login import Login
from radkeep.identity.organizations import Organizations
from radkeep.identity.recovery import Recovery
from radkeep.identity.sessions import Sessions
from radkeep.identity.tokens import Tokens
from radkeep.identity.zones import Zones
from radkeep.retrieval.deletions import Deletions
from radkeep.web.api.certificates import device_certificate_routes, server_certificate_routes
from radkeep.web.api.deletions import deletion_routes
from radkeep.web.api.demo import demo_routes
from radkeep.web.api.network import device_routes, zone_routes
from radkeep.web.api.openapi import openapi_route
from radkeep.web.api.ports import ServerCertificates, StatusReport, Trail
from radkeep.web.api.server import audit_routes, organization_routes, status_routes
from radkeep.web.api.session import session_routes
from radkeep.web.api.tokens import token_routes
from radkeep.web.api.users import Users, enrolment_routes, user_routes
from radkeep.web.kit.authentication import peer_user
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import GuardedRoute, Kit, Surface

ROOT: Final = "/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """The use cases behind the API."""

    login: Login
    sessions: Sessions
    accounts: Accounts
    enrolment: Enrolment
    recovery: Recovery
    organizations: Organizations
    tokens: Tokens
    devices: Devices
    certificates: Certificates
    server_certificates: ServerCertificates
    echo: EchoTest
    knocks: Knocks
    zones: Zones
    demo: Demo
    deletions: Deletions
    status: StatusReport
    trail: Trail
    public_origin: str  # where people open pages: "https://HOST:PORT"


def api_routes(kit: Kit, parts: ApiParts) -> Sequence[GuardedRoute]:
    """Return the routes below /api/v1."""

    def page_origin(request: Incoming) -> str:
        # The control socket's Host says nothing about where people reach the portal.
        return parts.public_origin if peer_user(request) is not None else request.origin

    surface = Surface(kit=kit)
    users = Users(
        accounts=parts.accounts,
        enrolment=parts.enrolment,
        recovery=parts.recovery,
        sessions=parts.sessions,
        page_origin=page_origin,
    )
    routes = (
        *session_routes(surface, f"{ROOT}/session", login=parts.login, sessions=parts.sessions),
        *device_certificate_routes(surface, f"{ROOT}/devices", certificates=parts.certificates),
        *server_certificate_routes(
            surface, f"{ROOT}/certificates", certificates=parts.server_certificates
        ),
        *device_routes(
            surface,
            f"{ROOT}/devices",
            devices=parts.devices,
            knocks=parts.knocks,
            test=parts.echo,
        ),
        *zone_routes(surface, f"{ROOT}/zones", zones=parts.zones),
        *token_routes(surface, f"{ROOT}/tokens", tokens=parts.tokens),
        *user_routes(surface, f"{ROOT}/users", users),
        *enrolment_routes(surface, f"{ROOT}/enrolment", users),
        *organization_routes(surface, f"{ROOT}/organizations", organizations=parts.organizations),
        *deletion_routes(surface, f"{ROOT}/deletions", deletions=parts.deletions),
        *demo_routes(surface, f"{ROOT}/demo", demo=parts.demo),
        *status_routes(surface, f"{ROOT}/status", status=parts.status),
        *audit_routes(surface, f"{ROOT}/audit", trail=parts.trail),
    )
    return (*routes, openapi_route(surface, f"{ROOT}/openapi.json", routes))
