# SPDX-License-Identifier: Apache-2.0
"""Whom we call, and what may go wrong with it.

Invariant: a proposal names its deadlines; nothing of a peer is waited for without one.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from radkeep.dimse.wire.items import RoleSelection
from radkeep.domain.errors import Kind, RadkeepError


class PeerError(RadkeepError):
    """A peer cannot be reached, refuses, or does not keep to the protocol."""

    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "peer-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Whom we call, as whom, and for what. Times are in seconds."""

    host: str
    port: int
    called: str
    calling: str
    contexts: Sequence[tuple[str, Sequence[str]]]  # abstract syntax, transfer syntaxes
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[tuple[str, bytes], ...] = ()
    admit: Callable[[str], None] = lambda _: None  # raises for an address we may not speak to
    secure: Callable[[socket.socket], socket.socket] | None = None  # TLS, or a PeerError
    stop: Callable[[], bool] = lambda: False  # nobody waits for the result any more
    connect: float = 10.0
    answer: float = 60.0  # for each thing that the peer has to do or take
