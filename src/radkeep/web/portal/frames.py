# SPDX-License-Identifier: Apache-2.0
"""The frame of each page: made from the installation and the one who looks.

Invariant: whether an installation is a demo is known at start and on every page.
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from radkeep.domain.actor import Actor
from radkeep.identity.permissions import Permission
from radkeep.web.portal.pages.frame import Frame, Link

STUDIES: Final = Link(name="Studies", href="/studies")
_SECTIONS: Final = ((STUDIES, Permission.STUDY_QUERY),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Makes frames."""

    demo: bool
    version: str = version("radkeep")

    def nobody(self) -> Frame:
        """Return the frame for somebody who has not signed in."""
        return Frame(demo=self.demo, version=self.version)

    def of(self, actor: Actor, section: str = "") -> Frame:
        """Return the frame for ``actor``, who looks at ``section``."""
        return Frame(
            demo=self.demo,
            version=self.version,
            person=actor.name,
            section=section,
            sections=tuple(link for link, needs in _SECTIONS if needs in actor.permissions),
        )
