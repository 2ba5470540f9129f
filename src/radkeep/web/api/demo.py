# SPDX-License-Identifier: Apache-2.0
"""/api/v1/demo: the sign-in link that a demo's terminal prints."""

from http import HTTPStatus

from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.identity.demo import Demo
from radkeep.web.api.answers import answer
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Access, Contract, GuardedRoute, Surface


def demo_routes(surface: Surface, path: str, *, demo: Demo) -> list[GuardedRoute]:
    """Return the route of demo links, below ``path``; it serves the host's operator only."""

    def link(_request: Incoming, actor: Actor) -> Response:
        made = demo.create_link(actor)
        return answer(
            {"token": made.token, "expires": made.expires.isoformat(timespec="seconds")},
            HTTPStatus.CREATED,
        )

    return [
        surface.route(
            f"{path}/link",
            link,
            methods=["POST"],
            needs=Access.SIGNED_IN,
            contract=Contract("Make a sign-in link of a demo", gives=HTTPStatus.CREATED),
        ),
    ]
