# SPDX-License-Identifier: Apache-2.0
"""Sending a browser on, after a form or to sign in first."""

from starlette.responses import RedirectResponse

from radkeep.web.kit.headers import NO_STORE
from radkeep.web.kit.requests import Incoming


def see_other(address: str) -> RedirectResponse:
    """Send the browser to ``address`` with GET (RFC 9110 Section 15.4.4)."""
    return RedirectResponse(address, 303, headers={"Cache-Control": NO_STORE})


def here(request: Incoming) -> str:
    """Return the path and query that were asked for, as they came."""
    query = request.scope["query_string"].decode("ascii", "replace")
    path = request.scope["raw_path"].decode("ascii", "replace")
    return f"{path}?{query}" if query else path
