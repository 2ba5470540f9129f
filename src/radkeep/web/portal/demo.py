# SPDX-License-Identifier: Apache-2.0
"""The demo's one-time link, and the switch between its people.

Invariant: the use case decides whether this is a demo; outside one, both are refused.
"""

from dataclasses import dataclass

from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.identity.demo import Demo
from radkeep.web.kit.authentication import Authentication, session_cookie, set_session
from radkeep.web.kit.requests import Incoming
from radkeep.web.portal.frames import Frames
from radkeep.web.portal.own_path import HOME
from radkeep.web.portal.pages.entry import DemoPage, DemoPerson
from radkeep.web.portal.redirects import see_other
from radkeep.web.portal.rendering import render
from radkeep.web.portal.words import role_names


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPeople:
    """The page of the demo's people."""

    demo: Demo
    authentication: Authentication
    frames: Frames

    def show(self, request: Incoming) -> Response:
        """Redeem the link that the address holds, or show whom one may become.

        Raises:
            DemoLinkExpiredError: the link was used or is too old.
            NotADemoError: this is no demo.
            UnauthenticatedError: neither a link nor a session.
        """
        token = request.query_params.get("token")
        if token is not None:
            signed_in = self.demo.redeem(token, address=request.address)
            response = see_other(HOME)
            set_session(response, signed_in.session_token)
            return response
        return self._page(self.authentication.actor(request))

    def switch(self, request: Incoming, _actor: Actor) -> Response:
        """Become another of the demo's people.

        Raises:
            NotADemoError: this is no demo.
            NotFoundError: no such person.
        """
        signed_in = self.demo.switch(
            session_cookie(request), request.fields.get("account", ""), address=request.address
        )
        response = see_other(HOME)
        set_session(response, signed_in.session_token)
        return response

    def _page(self, actor: Actor) -> Response:
        people = tuple(
            DemoPerson(
                id=account.id,
                name=account.name,
                email=account.email,
                role=role_names(account.roles),
                current=account.id == actor.id,
            )
            for account in self.demo.people(actor)
        )
        return render(DemoPage(frame=self.frames.of(actor), people=people))
