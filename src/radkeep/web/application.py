# SPDX-License-Identifier: Apache-2.0
"""Doors to one ASGI application.

Invariant: it answers guarded routes and nothing else; no path has two meanings, and no answer
leaves without security headers.
"""

from collections.abc import Callable, Iterable
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from radkeep.domain.errors import LockedError, NotFoundError
from radkeep.web.kit.headers import DATA, TRANSPORT
from radkeep.web.kit.problems import problem
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import GuardedRoute, Surface, tell_json

_FOR_PROGRAMS: Final = ("/api/", "/dicom-web/", "/wado")


def application(
    routes: Iterable[GuardedRoute],
    *,
    not_found: Surface | None = None,
    publicly_trusted: bool = False,
) -> ASGIApp:
    """Return the application that answers ``routes``.

    Args:
        routes: of all doors; the first match wins, so busy ones come first.
        not_found: tells people of unknown paths; programs get problem documents.
        publicly_trusted: browsers trust the certificate by themselves, so TLS may be made
            mandatory for them (HSTS).

    Raises:
        TypeError: a route that does not say what it needs.
    """
    known = list(routes)
    methods: dict[str, set[str]] = {}
    for route in known:
        if not isinstance(route, GuardedRoute):
            raise TypeError("every route must be made by a Surface")
        route.allowed = methods.setdefault(route.path, set())
        route.allowed |= route.methods or set()
    app: ASGIApp = Router(known, redirect_slashes=False, default=_unknown(not_found))
    return _with_transport_security(app) if publicly_trusted else app


def health_routes(surface: Surface, ready: Callable[[], bool]) -> list[GuardedRoute]:
    """Return /healthz (the process runs) and /readyz (``ready`` says that it can work)."""

    def healthz(_request: Incoming) -> Response:
        return PlainTextResponse("ok\n")

    def readyz(_request: Incoming) -> Response:
        return PlainTextResponse("ready\n") if ready() else PlainTextResponse("not ready\n", 503)

    why = "says whether the server runs, and nothing else"
    return [
        surface.open_route("/healthz", healthz, why=why),
        surface.open_route("/readyz", readyz, why=why),
    ]


async def sealed(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer for a server whose keys are locked: it runs, and can do nothing.

    ``/healthz`` is 200, everything else 503.
    """
    if scope["type"] != "http":
        return
    response: Response
    if scope["path"] == "/healthz":
        response = PlainTextResponse("ok\n")
    else:
        told = problem(LockedError("the keys are locked; somebody must unlock the server"))
        response = tell_json(Incoming(scope, receive), told)
    response.headers.update(DATA)
    await response(scope, receive, send)


def _unknown(surface: Surface | None) -> ASGIApp:
    async def unknown(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        for_people = surface is not None and not scope["path"].startswith(_FOR_PROGRAMS)
        tell, headers = (
            (surface.tell, surface.headers) if surface and for_people else (tell_json, DATA)
        )
        response = tell(Incoming(scope, receive), problem(NotFoundError("no such address")))
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        await response(scope, receive, send)

    return unknown


def _with_transport_security(app: ASGIApp) -> ASGIApp:
    async def secured(scope: Scope, receive: Receive, send: Send) -> None:
        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[TRANSPORT[0]] = TRANSPORT[1]
            await send(message)

        await app(scope, receive, mark)

    return secured
