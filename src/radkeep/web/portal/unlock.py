# SPDX-License-Identifier: Apache-2.0
"""Opening a session that locked itself: the password alone, back to where one was."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from radkeep.domain.errors import ThrottledError
from radkeep.identity.sessions import Sessions, UnlockFailedError
from radkeep.web.kit.authentication import session_cookie
from radkeep.web.kit.requests import Incoming
from radkeep.web.portal.frames import Frames
from radkeep.web.portal.own_path import own_path
from radkeep.web.portal.pages.entry import UnlockPage
from radkeep.web.portal.redirects import see_other
from radkeep.web.portal.rendering import render
from radkeep.web.portal.waiting import wait_page

_WRONG: Final = "That password is wrong. Check it and try again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlock:
    """The page of a locked session."""

    sessions: Sessions
    frames: Frames

    def show(self, request: Incoming) -> Response:
        """Ask for the password.

        Raises:
            UnauthenticatedError: there is no session to unlock.
        """
        return render(self._page(request, request.query_params.get("next", "")))

    def unlock(self, request: Incoming) -> Response:
        """Open the session again.

        Raises:
            UnauthenticatedError: there is no session to unlock.
        """
        page = self._page(request, request.fields.get("next", ""), problem=_WRONG)
        try:
            self.sessions.unlock(
                session_cookie(request), request.fields.get("password", ""), address=request.address
            )
        except UnlockFailedError:
            return render(page, 401)
        except ThrottledError as error:
            return wait_page(page, error)
        return see_other(page.next)

    def _page(self, request: Incoming, target: str, problem: str = "") -> UnlockPage:
        account = self.sessions.account(session_cookie(request))
        return UnlockPage(
            frame=self.frames.nobody(),
            next=own_path(target),
            email=account.email,
            problem=problem,
        )
