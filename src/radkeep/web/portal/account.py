# SPDX-License-Identifier: Apache-2.0
"""The page of one's own account."""

from dataclasses import dataclass

from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.identity.sessions import Sessions
from radkeep.web.kit.authentication import session_cookie
from radkeep.web.kit.requests import Incoming
from radkeep.web.portal.frames import Frames
from radkeep.web.portal.pages.account import AccountPage
from radkeep.web.portal.pages.frame import Fact
from radkeep.web.portal.rendering import render
from radkeep.web.portal.words import role_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One's own account."""

    sessions: Sessions
    frames: Frames

    def show(self, request: Incoming, actor: Actor) -> Response:
        """Show who one is.

        Raises:
            UnauthenticatedError: not signed in by a session.
        """
        account = self.sessions.account(session_cookie(request))
        facts = (
            Fact(name="Name", value=account.name),
            Fact(name="Role", value=role_names(account.roles)),
            Fact(name="Member since", value=f"{account.created:%Y-%m-%d}"),
        )
        return render(AccountPage(frame=self.frames.of(actor), email=account.email, facts=facts))
