# SPDX-License-Identifier: Apache-2.0
"""The page that says what went wrong, what was kept and what to do next."""

from dataclasses import dataclass
from typing import ClassVar

from radkeep.web.portal.pages.frame import Link, Page


@dataclass(frozen=True, kw_only=True)
class ProblemPage(Page):
    """Something could not be done."""

    template: ClassVar[str] = "problem.html"

    title: str
    what: str
    advice: str
    way_out: Link
    reference: str = ""  # under which the log tells more; empty: nothing more to tell
