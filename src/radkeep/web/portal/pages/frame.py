# SPDX-License-Identifier: Apache-2.0
"""What surrounds every page: who is signed in, where they may go, and whether this is a demo.

Invariant: a page of a demo installation says so, whoever looks at it.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A place to go."""

    name: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The frame of a page. ``person`` is empty while nobody is signed in."""

    demo: bool
    version: str
    person: str = ""
    section: str = ""
    sections: tuple[Link, ...] = ()  # where this person may go


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A name and a value, shown as they are."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """Base of every page."""

    template: ClassVar[str]  # under templates/pages/

    frame: Frame
