# SPDX-License-Identifier: Apache-2.0
"""What the web doors ask of identity to know who is asking."""

from collections.abc import Sequence
from typing import Protocol

from radkeep.domain.actor import Actor
from radkeep.identity.records import Organization


class Sessions(Protocol):
    """Signed-in browsers."""

    def actor(self, cookie: str, /, *, address: str) -> Actor:
        """Return whose session ``cookie`` is.

        Raises:
            UnauthenticatedError: nobody's, or it ended, or it is locked.
        """
        ...


class Tokens(Protocol):
    """API tokens."""

    def actor(self, token: str, /, *, address: str) -> Actor:
        """Return the service whose token this is.

        Raises:
            UnauthenticatedError: nobody's, expired or revoked.
        """
        ...


class Organizations(Protocol):
    """The organizations of this installation."""

    def list(self, actor: Actor) -> Sequence[Organization]:
        """Return those that ``actor`` may know of."""
        ...

    def find(self, name: str = "") -> Organization:
        """Return the organization with this name or id.

        Raises:
            NotFoundError: there is none.
        """
        ...
