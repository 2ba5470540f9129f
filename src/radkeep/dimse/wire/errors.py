# SPDX-License-Identifier: Apache-2.0
"""Whose fault is it: the peer's, or ours.

Invariant: bytes from the network cause ``RemoteProtocolError`` and nothing else; a
``LocalProtocolError`` is always a bug in the program that drives the connection.
"""

from enum import IntEnum
from typing import ClassVar

from radkeep.domain.errors import Kind, RadkeepError


class AbortReason(IntEnum):
    """Reason/Diag. of an A-ABORT by the service provider (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class RemoteProtocolError(RadkeepError):
    """The peer broke PS3.7 or PS3.8, or went beyond a limit that we advertise."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "protocol-violation"

    def __init__(self, message: str, reason: AbortReason = AbortReason.INVALID_PARAMETER) -> None:
        super().__init__(message)
        self.reason = reason


class LocalProtocolError(RuntimeError):
    """Our own code asked for something that the state of the association does not allow."""
