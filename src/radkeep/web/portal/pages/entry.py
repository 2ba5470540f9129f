# SPDX-License-Identifier: Apache-2.0
"""The pages before a session: sign in, second step, locked, demo people.

Invariant: a password or a code that was typed is never shown again.
"""

from dataclasses import dataclass
from typing import ClassVar

from radkeep.web.portal.pages.frame import Page


@dataclass(frozen=True, kw_only=True)
class SignInPage(Page):
    """E-mail address and password."""

    template: ClassVar[str] = "sign_in.html"

    next: str  # own path to go to afterwards
    email: str = ""
    problem: str = ""
    notice: str = ""


@dataclass(frozen=True, kw_only=True)
class ContinuePage(Page):
    """One step for a browser that followed a link from another site.

    Such a request brings no SameSite=Strict cookie (RFC 6265bis Section 5.5); the next one does.
    """

    template: ClassVar[str] = "continue.html"

    next: str


@dataclass(frozen=True, kw_only=True)
class FactorPage(Page):
    """The authenticator's code, after the password was right."""

    template: ClassVar[str] = "factor.html"

    next: str
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class UnlockPage(Page):
    """The password alone, for a session that locked itself."""

    template: ClassVar[str] = "unlock.html"

    next: str
    email: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPerson:
    """Somebody whom a visitor of the demo may become."""

    id: str
    name: str
    email: str
    role: str
    current: bool


@dataclass(frozen=True, kw_only=True)
class DemoPage(Page):
    """The people of a demo installation."""

    template: ClassVar[str] = "demo.html"

    people: tuple[DemoPerson, ...]
