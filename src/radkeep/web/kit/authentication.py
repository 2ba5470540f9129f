# SPDX-License-Identifier: Apache-2.0
"""Who sends a request: the control socket's peer, a bearer token or a session cookie.

Invariant: one proof decides, the strongest one offered; a wrong token is never saved by a good
cookie.
"""

import re
from typing import Final
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.domain.errors import UnauthenticatedError
from radkeep.identity.actors import local
from radkeep.web.kit.ports import Organizations, Sessions, Tokens
from radkeep.web.kit.requests import Incoming

SESSION_COOKIE: Final = "__Host-radkeep"  # Secure, Path=/, no Domain: RFC 6265bis Section 4.1.3.2
BROWSER_COOKIE: Final = "__Host-radkeep-browser"  # names a browser that passed the second factor
BROWSER_LIFE: Final = 90 * 24 * 3600  # seconds
ORGANIZATION_HEADER: Final = "radkeep-organization"  # control socket only; name, percent-encoded
PEER: Final = "radkeep.peer"  # scope extension: the uid at the other end of the control socket
_MAX_SECRET: Final = 256  # characters of a token or cookie value
_BEARER: Final = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/-]+=*)")


class Authentication:
    """Turns a request into an actor. Thread-safe; called in the pool."""

    def __init__(self, *, sessions: Sessions, tokens: Tokens, organizations: Organizations) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._organizations = organizations

    def actor(self, request: Incoming) -> Actor:
        """Return who sends ``request``.

        Raises:
            UnauthenticatedError: nobody proved anything, or the proof is no longer good.
            NotFoundError: the host's operator names an organization that does not exist.
        """
        peer = peer_user(request)
        if peer is not None:
            return self._local(request, peer)
        authorization = request.headers.get("authorization")
        if authorization is not None:
            found = _BEARER.fullmatch(authorization.strip())
            if not found or len(found[1]) > _MAX_SECRET:
                raise UnauthenticatedError("send a bearer token")
            return self._tokens.actor(found[1], address=request.address)
        cookie = session_cookie(request)
        if not cookie:
            raise UnauthenticatedError("sign in, or send a bearer token")
        return self._sessions.actor(cookie, address=request.address)

    def _local(self, request: Incoming, peer: int) -> Actor:
        """Return the host's operator, within the one organization there is or the one named."""
        named = request.headers.get(ORGANIZATION_HEADER, "")
        if named:
            return local(peer, organization=self._organizations.find(unquote(named)).id)
        every = self._organizations.list(local(peer))
        return local(peer, organization=every[0].id if len(every) == 1 else "")


def peer_user(request: Request) -> int | None:
    """Return the uid of the control socket's peer, or None on every other listener."""
    peer = request.scope.get("extensions", {}).get(PEER)
    return None if peer is None else int(peer["uid"])


def session_cookie(request: Request) -> str:
    """Return the session's secret, or ""."""
    value = request.cookies.get(SESSION_COOKIE, "")
    return value if len(value) <= _MAX_SECRET else ""


def browser_cookie(request: Request) -> str:
    """Return what names this browser, or ""."""
    value = request.cookies.get(BROWSER_COOKIE, "")
    return value if len(value) <= _MAX_SECRET else ""


def set_session(response: Response, secret: str) -> None:
    """Let the browser keep the session until it closes."""
    set_secret(response, SESSION_COOKIE, secret, None)


def set_browser(response: Response, secret: str) -> None:
    """Let the browser be known again."""
    set_secret(response, BROWSER_COOKIE, secret, BROWSER_LIFE)


def clear_session(response: Response) -> None:
    """Take the session's cookie back, and whatever the browser kept of our pages."""
    set_secret(response, SESSION_COOKIE, "", 0)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


def set_secret(response: Response, name: str, value: str, life: int | None) -> None:
    """Give the browser a cookie that scripts and other sites never see.

    Args:
        response: carries it.
        name: begins with ``__Host-`` (RFC 6265bis Section 4.1.3.2).
        value: the secret; "" with ``life`` 0 takes the cookie back.
        life: seconds; None until the browser closes.
    """
    response.set_cookie(
        name, value, max_age=life, path="/", secure=True, httponly=True, samesite="strict"
    )
