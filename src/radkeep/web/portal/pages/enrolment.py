# SPDX-License-Identifier: Apache-2.0
"""The two pages between a one-time link and an account that can sign in.

Invariant: recovery codes are on one page, once; going back cannot show them again.
"""

from dataclasses import dataclass
from typing import ClassVar

from radkeep.web.portal.pages.frame import Page


@dataclass(frozen=True, kw_only=True)
class EnrolPage(Page):
    """Choosing a password and proving that the authenticator works."""

    template: ClassVar[str] = "enrol.html"

    email: str
    token: str
    qr: str  # address of the image: a data: URI
    key: str  # the same key to type, in groups of four
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class EnrolCodesPage(Page):
    """The recovery codes."""

    template: ClassVar[str] = "enrol_codes.html"

    email: str
    codes: tuple[str, ...]
