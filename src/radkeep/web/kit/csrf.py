# SPDX-License-Identifier: Apache-2.0
"""Requests that another site made a browser send are refused.

Invariant: a request that may change something comes from our own pages, or from a program that is
no browser. Cookies are SameSite=Strict besides; this check does not rely on it (Fetch Metadata,
OWASP ASVS 5.0 Section 3.5).
"""

from typing import Final

from radkeep.domain.errors import ForbiddenError
from radkeep.web.kit.authentication import peer_user
from radkeep.web.kit.requests import Incoming

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS: Final = frozenset({"same-origin", "none"})  # none: typed, or a bookmark


class CrossSiteError(ForbiddenError):
    """Another site sent this request."""

    code = "cross-site"


def check(request: Incoming, *, links: bool) -> None:
    """Return only if no other site is behind ``request``.

    Args:
        request: what came.
        links: another site may link here (a page); data is never given to other sites.

    Raises:
        CrossSiteError: another site sent it.
    """
    if peer_user(request) is not None:
        return
    site = request.headers.get("sec-fetch-site")
    if request.method in SAFE:
        linked = links and request.headers.get("sec-fetch-mode") == "navigate"
        if site is not None and site not in _OURS and not linked:
            raise CrossSiteError("this address does not answer other sites")
        return
    if site is not None and site not in _OURS:
        raise CrossSiteError("the request comes from another site")
    origin = request.headers.get("origin")
    if origin == "null" and site == "same-origin":
        return  # our pages send no referrer, and so browsers hide the origin (Fetch Section 3.2)
    if origin is not None and origin != request.origin:
        raise CrossSiteError("the request comes from another site")
