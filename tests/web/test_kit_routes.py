# SPDX-License-Identifier: Apache-2.0
"""Who may pass: permissions, sessions, tokens, other sites, unexpected errors."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from radkeep.domain.actor import Actor
from radkeep.domain.errors import ForbiddenError
from radkeep.identity.permissions import Permission
from radkeep.web.application import application, sealed
from radkeep.web.kit.authentication import SESSION_COOKIE
from radkeep.web.kit.headers import DATA
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Access, GuardedRoute, Surface

if TYPE_CHECKING:
    from tests.web.conftest import House, Web

PUBLIC = {
    "/api/v1/session": {"POST", "DELETE"},
    "/api/v1/enrolment": {"POST"},
    "/api/v1/openapi.json": {"GET", "HEAD"},
    "/healthz": {"GET", "HEAD"},
    "/readyz": {"GET", "HEAD"},
    "/pki/ca.crl": {"GET", "HEAD"},
}


def concrete(path: str) -> str:
    """Return an address that matches a route's path."""
    for name, value in {
        "{study}": "1.2",
        "{series}": "1.3",
        "{instance}": "1.4",
        "{frames}": "1",
        "{path:path}": "7FE00010",
        "{name}": "x",
        "{email}": "a@b.example",
    }.items():
        path = path.replace(name, value)
    return path


def test_every_route_says_what_it_needs(house: "House") -> None:
    for route in house.routes():
        assert isinstance(route.needs, Permission | Access)
        if route.needs is Access.PUBLIC:
            assert route.why
            assert set(route.methods or ()) <= PUBLIC[route.path]


def test_nobody_gets_nothing_anywhere(web: "Web") -> None:
    for route in web.house.routes():
        if route.needs is Access.PUBLIC:
            continue
        for method in route.methods or ():
            answer = web.send(method, concrete(route.path), token="")
            assert answer.status_code == 401, route
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_without_the_permission_gets_nothing_anywhere(web: "Web") -> None:
    weak = web.house.token("metrics:read")
    for route in web.house.routes():
        if isinstance(route.needs, Permission):
            for method in route.methods or ():
                assert web.send(method, concrete(route.path), token=weak).status_code == 403


def test_a_route_of_another_make_is_refused() -> None:
    with pytest.raises(TypeError):
        application([Route("/x", PlainTextResponse("x"))])  # type: ignore[list-item]


def test_every_answer_has_the_headers(web: "Web") -> None:
    for route in web.house.routes():
        answer = web.get(concrete(route.path))
        for name, value in DATA.items():
            assert answer.headers[name] == value, (route, name)
    for name, value in DATA.items():
        assert web.get("/nowhere").headers[name] == value


def test_methods_are_told(web: "Web") -> None:
    answer = web.send("PATCH", "/dicom-web/studies")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "authorization", ["Basic YTpi", "Bearer", "Bearer x y", "Bearer " + "x" * 300, "Bearer wrong"]
)
def test_a_wrong_token_is_not_saved_by_a_cookie(web: "Web", authorization: str) -> None:
    answer = web.send(
        "GET",
        "/api/v1/session",
        token="",
        headers={"Authorization": authorization, "Cookie": f"{SESSION_COOKIE}=x"},
    )
    assert answer.status_code == 401


SITES = [
    ({}, 401),
    ({"Sec-Fetch-Site": "same-origin"}, 401),
    ({"Sec-Fetch-Site": "none"}, 401),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Origin": "https://pacs.test"}, 401),
    ({"Origin": "https://evil.test"}, 403),
    ({"Origin": "http://pacs.test"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.test"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), SITES)
def test_other_sites_cannot_change_anything(
    web: "Web", headers: dict[str, str], status: int
) -> None:
    answer = web.send("POST", "/dicom-web/studies", token="", headers=headers)
    assert answer.status_code == status
    assert (answer.json()["type"] == "/problems/cross-site") == (status == 403)


def test_other_sites_get_no_data_and_may_link_to_pages(house: "House", web: "Web") -> None:
    linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert web.send("GET", "/dicom-web/studies", headers=linked).status_code == 403
    page = Surface(kit=house.kit, links=True)
    route = page.open_route("/page", lambda _request: PlainTextResponse("x"), why="test")
    app = application([route])
    assert ask(app, "/page", headers=linked).status_code == 200
    embedded = linked | {"Sec-Fetch-Mode": "no-cors"}
    assert ask(app, "/page", headers=embedded).status_code == 403


def ask(app: ASGIApp, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
    async def run() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="https://pacs.test") as client:
            return await client.request(options.pop("method", "GET"), path, **options)

    return asyncio.run(run())


def only(
    house: "House", handler: Callable[[Incoming], Response], method: str = "GET", body: int = 999
) -> ASGIApp:
    surface = Surface(kit=house.kit)
    route = surface.open_route("/x", handler, why="test", methods=[method], max_body=body)
    return application([route])


def test_bugs_are_told_as_a_reference_and_logged_without_values(house: "House") -> None:
    def broken(_request: Incoming) -> Response:
        raise ValueError("Phantom^Patient")

    with capture_logs() as logs:
        answer = ask(only(house, broken), "/x")
    assert answer.status_code == 500
    assert answer.json()["reference"] == logs[0]["reference"]
    assert "Phantom" not in answer.text + str(logs)


def test_bodies_are_bounded(house: "House") -> None:
    def echo(request: Incoming) -> Response:
        return Response(request.content)

    app = only(house, echo, "POST", 10)
    assert ask(app, "/x", method="POST", content=b"x" * 10).content == b"x" * 10
    assert ask(app, "/x", method="POST", content=b"x" * 11).status_code == 413

    async def dribble() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x"

    assert ask(app, "/x", method="POST", content=dribble()).status_code == 413
    bad = {"Content-Length": "1_0"}
    assert ask(app, "/x", method="POST", content=b"x", headers=bad).status_code == 400


def test_forms_and_json_are_checked(house: "House") -> None:
    def form(request: Incoming) -> Response:
        return PlainTextResponse(str(sorted(request.fields.items())))

    app = only(house, form, "POST", 9999)
    assert ask(app, "/x", method="POST", data={"b": "2", "a": "é"}).text == (
        "[('a', 'é'), ('b', '2')]"
    )
    assert ask(app, "/x", method="POST", json={}).status_code == 415
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"a=%FF", b"a=\xff", b"&".join(b"a%d=1" % n for n in range(201))):
        assert ask(app, "/x", method="POST", content=body, headers=kind).status_code == 400


def test_too_many_waiting_requests_are_told_to_come_again(house: "House") -> None:
    house.threads._limit = 0
    answer = ask(only(house, lambda _request: PlainTextResponse("x")), "/x")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"


def test_use_cases_may_refuse_again(house: "House", web: "Web") -> None:
    def refuse(_request: Incoming, actor: Actor) -> Response:
        raise ForbiddenError(f"not {actor.kind}")

    route = Surface(kit=house.kit).route("/x", refuse, needs=Access.SIGNED_IN)
    headers = {"Authorization": f"Bearer {web.token}"}
    answer = ask(application([route]), "/x", headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (403, "not service")


def test_a_public_route_needs_a_reason(house: "House") -> None:
    surface = Surface(kit=house.kit)
    with pytest.raises(TypeError):
        surface.route("/x", lambda _r, _a: PlainTextResponse("x"), needs=Access.PUBLIC)
    route = surface.open_route("/x", lambda _r: PlainTextResponse("x"), why="test")
    assert isinstance(route, GuardedRoute)


def test_a_sealed_server_is_healthy_and_does_nothing() -> None:
    assert ask(sealed, "/healthz").status_code == 200
    for path in ("/", "/readyz", "/dicom-web/studies", "/api/v1/session"):
        answer = ask(sealed, path)
        assert answer.status_code == 503
        assert answer.json()["type"] == "/problems/keys-locked"
        assert answer.headers["content-security-policy"] == DATA["Content-Security-Policy"]


def test_transport_security_is_for_publicly_trusted_certificates(house: "House") -> None:
    name = "strict-transport-security"
    assert name not in ask(application(house.routes()), "/healthz").headers
    trusted = application(house.routes(), publicly_trusted=True)
    assert "max-age=31536000" in ask(trusted, "/healthz").headers[name]
