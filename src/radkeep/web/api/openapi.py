# SPDX-License-Identifier: Apache-2.0
"""/api/v1/openapi.json: what the JSON API takes and gives, in OpenAPI 3.1.

Invariant: made of the routes and the types that read their bodies, so it cannot say otherwise; it
is the same at every installation and names nothing of it.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec
from starlette.responses import Response

from radkeep.web.kit import problems
from radkeep.web.kit.authentication import SESSION_COOKIE
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Access, Contract, GuardedRoute, Surface

MEDIA_TYPE: Final = "application/vnd.oai.openapi+json;version=3.1"
_JSON: Final = "application/json"
_PARAMETER: Final = re.compile(r"\{(\w+)(?::\w+)?\}")
_OBJECT: Final = {"type": "object"}
_WITHOUT_BODY: Final = frozenset({HTTPStatus.NO_CONTENT})


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    reference: str = ""


def openapi_route(surface: Surface, path: str, routes: Sequence[GuardedRoute]) -> GuardedRoute:
    """Return the route that describes ``routes``."""
    body = msgspec.json.encode(document(routes))

    def show(_request: Incoming) -> Response:
        return Response(body, media_type=MEDIA_TYPE)

    return surface.open_route(path, show, why="describes the program, not the installation")


def document(routes: Sequence[GuardedRoute]) -> Mapping[str, Any]:
    """Return the OpenAPI document of ``routes``.

    Raises:
        ValueError: a route has no contract.
    """
    shapes = [each.contract.takes for each in routes if each.contract and each.contract.takes]
    _, components = msgspec.json.schema_components(
        [*shapes, ProblemDocument], ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.contract is None:
            raise ValueError(f"{route.path} does not say what it takes and gives")
        operations = paths.setdefault(_PARAMETER.sub(r"{\1}", route.path), {})
        for method in sorted((route.methods or set()) - {"HEAD"}):
            operations[method.lower()] = _operation(route, route.contract)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Radkeep", "version": version("radkeep")},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
            },
        },
        "security": [{"token": []}, {"session": []}],
    }


def _operation(route: GuardedRoute, contract: Contract) -> dict[str, Any]:
    said: dict[str, Any] = {
        "summary": contract.summary,
        "responses": {
            str(int(contract.gives)): _answer(contract),
            "default": {
                "description": "Refused, and why",
                "content": {problems.MEDIA_TYPE: {"schema": _reference(ProblemDocument)}},
            },
        },
    }
    named = _PARAMETER.findall(route.path)
    parameters = [
        *({"name": each, "in": "path", "required": True, "schema": _text()} for each in named),
        *(
            {"name": name, "in": "query", "schema": _parameter(kind)}
            for name, kind in contract.query.items()
        ),
    ]
    if parameters:
        said["parameters"] = parameters
    if contract.takes is not None:
        said["requestBody"] = {
            "required": True,
            "content": {_JSON: {"schema": _reference(contract.takes)}},
        }
    if isinstance(route.needs, Access):
        said["description"] = "Needs no permission of its own."
        if route.needs is Access.PUBLIC:
            said["security"] = []
    else:
        said["description"] = f"Needs the permission {route.needs}."
    return said


def _answer(contract: Contract) -> dict[str, Any]:
    if contract.gives in _WITHOUT_BODY:
        return {"description": contract.gives.phrase}
    shape = {"type": "array", "items": _OBJECT} if contract.many else _OBJECT
    return {"description": contract.gives.phrase, "content": {_JSON: {"schema": shape}}}


def _reference(shape: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def _parameter(kind: type) -> dict[str, Any]:
    return msgspec.json.schema(kind) | ({"minimum": 0} if kind is int else {})


def _text() -> dict[str, object]:
    return {"type": "string", "minLength": 1}
