# SPDX-License-Identifier: Apache-2.0
"""Problems as people are told them: what happened, what to do next.

Invariant: whoever is not signed in, or has a locked session, is led there and back again, if the
request was one that may be repeated.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from radkeep.web.kit.authentication import session_cookie
from radkeep.web.kit.csrf import SAFE
from radkeep.web.kit.problems import Problem, problem_headers
from radkeep.web.kit.requests import Incoming
from radkeep.web.portal.frames import Frames
from radkeep.web.portal.own_path import HOME, own_path, with_next
from radkeep.web.portal.pages.entry import ContinuePage
from radkeep.web.portal.pages.frame import Link
from radkeep.web.portal.pages.problem import ProblemPage
from radkeep.web.portal.redirects import here, see_other
from radkeep.web.portal.rendering import render
from radkeep.web.portal.words import sentence

_LOCKED: Final = "session-locked"
_TO_START: Final = Link(name="Go to the start", href=HOME)
_TO_SIGN_IN: Final = Link(name="Sign in", href="/sign-in")

# Title, what happened, what to do; "" for what happened shows the error's own words.
_BY_CODE: Final = {
    "link-expired": (
        "This link no longer works",
        "It was used already, is older than an hour, or was replaced by a newer one.",
        "Ask your administrator for another. At the server: radkeep user enrol-link EMAIL.",
    ),
    "demo-link-expired": (
        "This link no longer works",
        "It was used already, is older than ten minutes, or the server was started again.",
        "Press Enter where the server runs: it prints another.",
    ),
    "viewer-absent": (
        "The viewer is not installed",
        "",
        "Ask your administrator. Studies are safe and can be found and sent as before.",
    ),
    "cross-site": (
        "Not from here",
        "Another site sent your browser here to change something. Nothing was changed.",
        "Open the page you want from the studies.",
    ),
}
_BY_STATUS: Final = {
    HTTPStatus.BAD_REQUEST: ("That was not understood", "", "Go back and check what was typed."),
    HTTPStatus.UNAUTHORIZED: (
        "Sign in first",
        "The session has ended, so nothing was changed.",
        "Sign in and try again.",
    ),
    HTTPStatus.FORBIDDEN: (
        "Not permitted",
        "",
        "If you need this for your work, ask your administrator for the role.",
    ),
    HTTPStatus.NOT_FOUND: (
        "Not found",
        "There is nothing here, or nothing that you may see.",
        "Check the address, or search for the patient.",
    ),
    HTTPStatus.TOO_MANY_REQUESTS: ("Too many requests", "", "Wait a little and try again."),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "Not now",
        "",
        "Nothing was lost. Try again in a minute.",
    ),
    HTTPStatus.INSUFFICIENT_STORAGE: (
        "The archive is full",
        "Nothing more can be stored; what is stored is safe and can be read.",
        "Tell your administrator.",
    ),
}
_ANY: Final = (
    "Something went wrong",
    "",
    "Nothing was changed. Try again, or tell your administrator.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTeller:
    """Shows problems as pages (a ``kit.routes.Teller``)."""

    frames: Frames

    def __call__(self, request: Incoming, told: Problem, /) -> Response:
        """Return the page for ``told``, or the way to sign in."""
        signed_out = told.status is HTTPStatus.UNAUTHORIZED
        if signed_out and request.method in SAFE and told.code not in _BY_CODE:
            return self._lead(request, told)
        title, what, advice = _BY_CODE.get(told.code) or _BY_STATUS.get(told.status, _ANY)
        response = render(
            ProblemPage(
                frame=self.frames.nobody(),
                title=title,
                what=what or sentence(told.detail),
                advice=advice,
                way_out=_TO_SIGN_IN if signed_out else _TO_START,
                reference=told.reference,
            ),
            told.status,
        )
        headers = problem_headers(told)
        headers.pop("WWW-Authenticate", None)  # browsers would ask with a box of their own
        response.headers.update(headers)
        return response

    def _lead(self, request: Incoming, told: Problem) -> Response:
        foreign = request.headers.get("sec-fetch-site") == "cross-site"
        if foreign and not session_cookie(request):  # perhaps only withheld
            return render(ContinuePage(frame=self.frames.nobody(), next=own_path(here(request))))
        page = "/unlock" if told.code == _LOCKED else "/sign-in"
        return see_other(with_next(page, here(request)))
