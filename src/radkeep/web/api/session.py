# SPDX-License-Identifier: Apache-2.0
"""/api/v1/session: signing in and out without pages.

Invariant: a session needs both factors; its secret leaves in an HttpOnly cookie alone.
"""

from http import HTTPStatus

import msgspec
from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.identity.login import Login
from radkeep.identity.sessions import Sessions
from radkeep.web.api.answers import account_json, actor_json, answer, done
from radkeep.web.kit.authentication import (
    browser_cookie,
    clear_session,
    session_cookie,
    set_browser,
    set_session,
)
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Access, Contract, GuardedRoute, Surface


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both factors."""

    email: str
    password: str
    code: str


def session_routes(
    surface: Surface, path: str, *, login: Login, sessions: Sessions
) -> list[GuardedRoute]:
    """Return the routes of the session."""

    def sign_in(request: Incoming) -> Response:
        given = request.decoded(Credentials)
        signed_in = login.sign_in(
            given.email,
            given.password,
            given.code,
            address=request.address,
            device_cookie=browser_cookie(request),
        )
        response = answer({"account": account_json(signed_in.account)})
        set_session(response, signed_in.session_token)
        if signed_in.device_cookie:
            set_browser(response, signed_in.device_cookie)
        return response

    def sign_out(request: Incoming) -> Response:
        cookie = session_cookie(request)
        if cookie:
            sessions.sign_out(cookie, address=request.address)
        response = done()
        clear_session(response)
        return response

    def show(_request: Incoming, actor: Actor) -> Response:
        return answer(actor_json(actor))

    proof = "people prove here who they are"
    own = "ends only the session whose secret is shown"
    return [
        surface.route(
            path,
            show,
            needs=Access.SIGNED_IN,
            contract=Contract("Tell who asks and what they may do"),
        ),
        surface.open_route(
            path,
            sign_in,
            methods=["POST"],
            why=proof,
            contract=Contract("Sign in", takes=Credentials),
        ),
        surface.open_route(
            path,
            sign_out,
            methods=["DELETE"],
            why=own,
            contract=Contract("Sign out", gives=HTTPStatus.NO_CONTENT),
        ),
    ]
