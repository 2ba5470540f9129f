# SPDX-License-Identifier: Apache-2.0
"""/api/v1/tokens: how programs get in."""

from datetime import datetime
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.domain.errors import InvalidRequestError
from radkeep.identity.permissions import Permission
from radkeep.identity.tokens import Tokens
from radkeep.web.api.answers import answer, done, token_json
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Contract, GuardedRoute, Surface


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token to make."""

    name: str
    scopes: list[str]
    expires: datetime | None = None  # with its offset from UTC


def token_routes(surface: Surface, path: str, *, tokens: Tokens) -> list[GuardedRoute]:
    """Return the routes of tokens."""

    def show(_request: Incoming, actor: Actor) -> Response:
        return answer([token_json(each) for each in tokens.list(actor)])

    def create(request: Incoming, actor: Actor) -> Response:
        new = request.decoded(NewToken)
        if new.expires is not None and new.expires.tzinfo is None:
            raise InvalidRequestError("expires needs an offset from UTC")
        token = tokens.create(actor, new.name, new.scopes, new.expires)
        return answer({"name": new.name, "token": token}, HTTPStatus.CREATED)

    def revoke(request: Incoming, actor: Actor) -> Response:
        tokens.revoke(actor, request.path_params["name"])
        return done()

    needs = Permission.TOKEN_MANAGE
    return [
        surface.route(path, show, needs=needs, contract=Contract("List tokens", many=True)),
        surface.route(
            path,
            create,
            methods=["POST"],
            needs=needs,
            contract=Contract("Make a token", takes=NewToken, gives=HTTPStatus.CREATED),
        ),
        surface.route(
            f"{path}/{{name:path}}",
            revoke,
            methods=["DELETE"],
            needs=needs,
            contract=Contract("Revoke a token", gives=HTTPStatus.NO_CONTENT),
        ),
    ]
