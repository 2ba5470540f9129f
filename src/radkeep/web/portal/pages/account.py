# SPDX-License-Identifier: Apache-2.0
"""The page of one's own account."""

from dataclasses import dataclass
from typing import ClassVar

from radkeep.web.portal.pages.frame import Fact, Page


@dataclass(frozen=True, kw_only=True)
class AccountPage(Page):
    """Who one is, and how to leave."""

    template: ClassVar[str] = "account.html"

    email: str
    facts: tuple[Fact, ...]
