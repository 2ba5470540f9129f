# SPDX-License-Identifier: Apache-2.0
"""/api/v1/organizations, /api/v1/status and /api/v1/audit: the installation as a whole."""

from typing import Any, Final

import msgspec
from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.domain.errors import InvalidRequestError
from radkeep.identity.organizations import Organizations
from radkeep.identity.permissions import Permission
from radkeep.web.api.answers import answer, organization_json
from radkeep.web.api.ports import StatusReport, Trail
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Access, Contract, GuardedRoute, Surface

MAX_ENTRIES: Final = 1_000
USUAL_ENTRIES: Final = 50
_MAX_DIGITS: Final = 6


def organization_routes(
    surface: Surface, path: str, *, organizations: Organizations
) -> list[GuardedRoute]:
    """Return the routes of organizations."""

    def show(_request: Incoming, actor: Actor) -> Response:
        return answer([organization_json(each) for each in organizations.list(actor)])

    return [
        surface.route(
            path, show, needs=Access.SIGNED_IN, contract=Contract("List organizations", many=True)
        )
    ]


def status_routes(surface: Surface, path: str, *, status: StatusReport) -> list[GuardedRoute]:
    """Return the route of the status."""

    def show(_request: Incoming, actor: Actor) -> Response:
        return answer(dict(status(actor)))

    return [
        surface.route(
            path,
            show,
            needs=Permission.SYSTEM_STATUS,
            contract=Contract("Tell the state of the server"),
        )
    ]


def audit_routes(surface: Surface, path: str, *, trail: Trail) -> list[GuardedRoute]:
    """Return the route of the audit log's end."""

    def tail(request: Incoming, actor: Actor) -> Response:
        count = USUAL_ENTRIES
        for key, value in request.query:
            if key != "count" or not (value.isascii() and value.isdigit()):
                raise InvalidRequestError("the only parameter is count, a number")
            count = min(int(value[:_MAX_DIGITS]), MAX_ENTRIES)
        return answer([_entry(*entry) for entry in trail.tail(actor, count)])

    return [
        surface.route(
            path,
            tail,
            needs=Permission.AUDIT_READ,
            contract=Contract("Read the end of the audit log", query={"count": int}, many=True),
        )
    ]


def _entry(index: int, process: str, event: object) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return {"index": index, "process": process, **fields}
