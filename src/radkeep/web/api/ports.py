# SPDX-License-Identifier: Apache-2.0
"""What the JSON API needs beyond the use cases of identity."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from radkeep.audit.events import Event
from radkeep.domain.actor import Actor


class StatusReport(Protocol):
    """The state of the server and of the actor's organization."""

    def __call__(self, actor: Actor, /) -> Mapping[str, object]:
        """Return values that JSON can hold; no patient data."""
        ...


class ServerCertificates(Protocol):
    """The server's own certificates."""

    def status(self, actor: Actor) -> Sequence[Mapping[str, object]]:
        """Return what each door shows, and the authority's own certificate.

        Raises:
            ForbiddenError: ``actor`` may not see the server's status.
        """
        ...

    def replace_web(self, actor: Actor, chain: bytes, key: bytes) -> Sequence[Mapping[str, object]]:
        """Show another certificate at the web door; return ``status``.

        Raises:
            ForbiddenError: ``actor`` is not at the host.
            InvalidRequestError: not a fit pair.
        """
        ...

    def restore_web(self, actor: Actor) -> Sequence[Mapping[str, object]]:
        """Show our own certificate at the web door again; return ``status``.

        Raises:
            ForbiddenError: ``actor`` is not at the host.
        """
        ...


class Trail(Protocol):
    """The audit log as its readers may see it."""

    def tail(self, actor: Actor, count: int) -> Sequence[tuple[int, str, Event]]:
        """Return index, process and event of the last entries, the oldest first.

        Only those of the actor's organization, unless it serves all; the reading is itself
        audited before anything is returned.

        Raises:
            ForbiddenError: ``actor`` may not read the audit log.
            IntegrityError: the log is damaged.
        """
        ...
