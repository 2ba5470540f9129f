# SPDX-License-Identifier: Apache-2.0
"""The same page again, for somebody who must wait before another try."""

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from radkeep.domain.errors import ThrottledError
from radkeep.web.kit.problems import problem, problem_headers
from radkeep.web.portal.pages.entry import FactorPage, SignInPage, UnlockPage
from radkeep.web.portal.rendering import render

_MINUTE: Final = 60  # seconds


def wait_page(page: SignInPage | FactorPage | UnlockPage, error: ThrottledError) -> Response:
    """Return ``page``, saying how long to wait."""
    told = problem(error)
    wait = told.retry_after
    words = f"{wait} seconds" if wait < 2 * _MINUTE else f"{-(-wait // _MINUTE)} minutes"
    again = replace(page, problem=f"Too many failed attempts. Wait {words} and try again.")
    response = render(again, told.status)
    response.headers.update(problem_headers(told))
    return response
