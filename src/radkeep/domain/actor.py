# SPDX-License-Identifier: Apache-2.0
"""Who acts: a person, a device, a service or the host's operator, already authenticated.

Invariant: an ``Actor`` exists only after its door has proved who it is.
"""

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    """What proved the actor's identity."""

    PERSON = "person"  # password and second factor, or a demo link
    DEVICE = "device"  # a registered DICOM device
    SERVICE = "service"  # an API token
    LOCAL = "local"  # an operating-system user on the control socket or the command line
    SYSTEM = "system"  # the server itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """An authenticated party and what it may do."""

    kind: ActorKind
    id: str  # stable: account id, device AE title, token id, "local:UID", process name
    name: str  # for people: e-mail address, AE title, token name
    organization: str  # organization id; "" only for SYSTEM and LOCAL, which serve all
    permissions: frozenset[str]  # identity.permissions.Permission values
    address: str = ""  # network address of the peer, without port
    session: str = ""  # session id, association id or token id: groups audit events
    demo: bool = False
