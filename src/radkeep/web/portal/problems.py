# SPDX-License-Identifier: Apache-2.0
"""Problems as people are told them: what happened, what to do next.

Invariant: whoever is not signed in, or has a locked session, is led there and back again, if the
request was one that may be repeated.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from radkeep.domain.errors import NotFoundError
from radkeep.web.kit.authentication import session_cookie
from radkeep.web.kit.csrf import SAFE
from radkeep.web.kit.explanations import EXPLANATIONS
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

# Where the error's own words would say less than its explanation does, or are meant for programs.
_EXPLAINED: Final = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.INSUFFICIENT_STORAGE}
)
_CROSS_SITE: Final = "cross-site"
_LINKS: Final = frozenset({"link-expired", "demo-link-expired"})  # signing in helps against neither


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanations:
    """The pages that problem documents name as their type (RFC 9457 Section 3.1.1)."""

    frames: Frames

    def show(self, request: Incoming) -> Response:
        """Explain the code that the address names.

        Raises:
            NotFoundError: no error has it.
        """
        explained = EXPLANATIONS.get(request.path_params["code"])
        if explained is None:
            raise NotFoundError("no error has this code")
        return render(
            ProblemPage(
                frame=self.frames.nobody(),
                title=explained.title,
                what=explained.what,
                advice=explained.advice,
                way_out=_TO_START,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTeller:
    """Shows problems as pages (a ``kit.routes.Teller``)."""

    frames: Frames

    def __call__(self, request: Incoming, told: Problem, /) -> Response:
        """Return the page for ``told``, or the way to sign in."""
        signed_out = told.status is HTTPStatus.UNAUTHORIZED
        if signed_out and request.method in SAFE and told.code not in _LINKS:
            return self._lead(request, told)
        explained = EXPLANATIONS[told.code]
        in_general = told.status in _EXPLAINED or told.code == _CROSS_SITE
        actor = request.admitted  # known where the route had let them in
        response = render(
            ProblemPage(
                frame=self.frames.of(actor) if actor is not None else self.frames.nobody(),
                title=explained.title,
                what=explained.what if in_general else sentence(told.detail),
                advice=explained.advice,
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
