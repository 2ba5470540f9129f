# SPDX-License-Identifier: Apache-2.0
"""The API's description is whole, and requests made of it are answered as it says."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx2
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.identity.permissions import Permission
from radkeep.web.api.openapi import document
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Access, Surface

if TYPE_CHECKING:
    from tests.web.conftest import House, Web

ADDRESS = "/api/v1/openapi.json"
REQUESTS = 6  # of each operation and kind
API = "/api/v1/"


def described(web: "Web") -> dict[str, Any]:
    answer = web.send("GET", ADDRESS, token="")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/vnd.oai.openapi+json")
    found: dict[str, Any] = answer.json()
    return found


def test_every_route_of_the_api_is_described(web: "Web") -> None:
    told = described(web)
    assert told["openapi"] == "3.1.0"
    for route in web.house.routes():
        path = route.path.replace(":path}", "}")
        if not path.startswith(API) or path == ADDRESS:
            continue
        for method in (route.methods or set()) - {"HEAD"}:
            said = told["paths"][path][method.lower()]
            assert said["summary"]
            if isinstance(route.needs, Permission):
                assert str(route.needs) in said["description"]
            assert (said.get("security") == []) == (route.needs is Access.PUBLIC)
    assert "NewZone" in told["components"]["schemas"]


def test_a_route_that_says_nothing_is_an_error(house: "House") -> None:
    def show(_request: Incoming, _actor: Actor) -> Response:
        return Response()

    route = Surface(kit=house.kit).route("/api/v1/new", show, needs=Access.SIGNED_IN)
    with pytest.raises(ValueError, match="/api/v1/new"):
        document([route])


def sent(web: "Web", case: Case) -> httpx2.Response:
    given_ = case.as_transport_kwargs(base_url="https://pacs.test")
    headers = {name: str(value) for name, value in (given_.get("headers") or {}).items()}
    return web.send(
        case.method,
        given_["url"],
        params=given_.get("params") or None,
        headers={n: v for n, v in headers.items() if v.isascii() and v.isprintable()},
        json=given_.get("json"),
        content=given_.get("data"),
    )


def check(answer: httpx2.Response, said: Mapping[str, Any], told: dict[str, Any]) -> None:
    assert answer.status_code < 500
    responses = said["responses"]
    expected = responses.get(str(answer.status_code), responses["default"])
    assert answer.is_error == (expected is responses["default"])
    content = expected.get("content")
    if content is None:
        assert not answer.content
        return
    kind = answer.headers["content-type"].partition(";")[0]
    schema = content[kind]["schema"] | {"components": told["components"]}
    jsonschema_rs.validate(schema, answer.json())


def ask(
    web: "Web", told: dict[str, Any], cases: SearchStrategy[Case], said: Mapping[str, Any]
) -> set[int]:
    statuses: set[int] = set()

    @settings(
        max_examples=REQUESTS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def each(case: Case) -> None:
        answer = sent(web, case)
        statuses.add(answer.status_code)
        check(answer, said, told)

    each()
    return statuses


def test_any_request_is_answered_as_described(web: "Web") -> None:
    told, operator = described(web), web.as_operator()
    zone = {"name": "ct", "networks": ["192.0.2.0/24"]}  # hardly any body by chance makes anything
    made = operator.send("POST", f"{API}zones", json=zone)
    check(made, told["paths"][f"{API}zones"]["post"], told)
    statuses = {made.status_code}
    for found in schemathesis.openapi.from_dict(told).get_all_operations():
        operation = found.ok()
        said = told["paths"][operation.path][operation.method]
        for mode in GenerationMode:
            if mode is GenerationMode.NEGATIVE and "requestBody" not in said:
                continue

            statuses |= ask(operator, told, operation.as_strategy(generation_mode=mode), said)
    assert {200, 201, 204, 400, 404} <= statuses
