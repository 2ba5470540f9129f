# SPDX-License-Identifier: Apache-2.0
"""Signing in: password, then code; and out again.

Invariant: between password and code the browser holds a proof that opens nothing, in a cookie that
scripts cannot read; the address never holds one.
"""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from radkeep.domain.errors import ThrottledError, UnauthenticatedError
from radkeep.identity.login import Login, SignedIn, SignInExpiredError, SignInFailedError
from radkeep.identity.sessions import SessionLockedError, Sessions
from radkeep.web.kit.authentication import (
    browser_cookie,
    clear_session,
    session_cookie,
    set_browser,
    set_secret,
    set_session,
)
from radkeep.web.kit.requests import Incoming
from radkeep.web.portal.frames import Frames
from radkeep.web.portal.own_path import own_path, with_next
from radkeep.web.portal.pages.entry import FactorPage, SignInPage
from radkeep.web.portal.redirects import see_other
from radkeep.web.portal.rendering import render
from radkeep.web.portal.waiting import wait_page

_STEP_COOKIE: Final = "__Host-radkeep-step"
_STEP_LIFE: Final = 300  # seconds, as long as the proof is good
_NO_MATCH: Final = "E-mail address and password do not match. Check both and try again."
_WRONG_CODE: Final = "That code is wrong or was used before. Wait for the next one and try again."
_TOO_LATE: Final = "That took too long. Please begin again."
_FORGET: Final = '"cache", "cookies", "storage"'


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """The pages of signing in and out."""

    login: Login
    sessions: Sessions
    frames: Frames

    def show(self, request: Incoming) -> Response:
        """Ask for e-mail address and password, or go on if that was done."""
        target = own_path(request.query_params.get("next", ""))
        try:
            self.sessions.actor(session_cookie(request), address=request.address)
        except SessionLockedError:
            return see_other(with_next("/unlock", target))
        except UnauthenticatedError:
            return render(SignInPage(frame=self.frames.nobody(), next=target))
        return see_other(target)

    def password(self, request: Incoming) -> Response:
        """Check the first factor."""
        form = request.fields
        target, email = own_path(form.get("next", "")), form.get("email", "").strip()
        page = SignInPage(frame=self.frames.nobody(), next=target, email=email, problem=_NO_MATCH)
        try:
            passed = self.login.password(
                email,
                form.get("password", ""),
                address=request.address,
                device_cookie=browser_cookie(request),
            )
        except SignInFailedError:
            return render(page, 401)
        except ThrottledError as error:
            return wait_page(page, error)
        if isinstance(passed, SignedIn):
            return _welcome(passed, target, remember=True)
        response = see_other(with_next("/sign-in/code", target))
        _set_step(response, passed.token, _STEP_LIFE)
        return response

    def show_code(self, request: Incoming) -> Response:
        """Ask for the second factor, or for the first if that is missing."""
        target = own_path(request.query_params.get("next", ""))
        if not request.cookies.get(_STEP_COOKIE):
            return see_other(with_next("/sign-in", target))
        return render(FactorPage(frame=self.frames.nobody(), next=target))

    def code(self, request: Incoming) -> Response:
        """Check the second factor."""
        form, frame = request.fields, self.frames.nobody()
        target = own_path(form.get("next", ""))
        page = FactorPage(frame=frame, next=target, problem=_WRONG_CODE)
        try:
            signed_in = self.login.second_factor(
                request.cookies.get(_STEP_COOKIE, ""),
                form.get("code", ""),
                address=request.address,
                device_cookie=browser_cookie(request),
            )
        except SignInExpiredError:
            return render(SignInPage(frame=frame, next=target, problem=_TOO_LATE), 401)
        except SignInFailedError:
            return render(page, 401)
        except ThrottledError as error:
            return wait_page(page, error)
        return _welcome(signed_in, target, remember=form.get("remember") == "yes")

    def sign_out(self, request: Incoming) -> Response:
        """End the session and let the browser forget what it kept of it."""
        form = request.fields if request.content else {}
        self.sessions.sign_out(session_cookie(request), address=request.address)
        response = see_other("/sign-in")
        clear_session(response)
        if form.get("forget") == "yes":
            response.headers["Clear-Site-Data"] = _FORGET
        return response


def _welcome(signed_in: SignedIn, target: str, *, remember: bool) -> Response:
    response = see_other(target)
    set_session(response, signed_in.session_token)
    if remember and signed_in.device_cookie:
        set_browser(response, signed_in.device_cookie)
    _set_step(response, "", 0)
    return response


def _set_step(response: Response, value: str, life: int) -> None:
    set_secret(response, _STEP_COOKIE, value, life)
