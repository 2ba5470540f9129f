# SPDX-License-Identifier: Apache-2.0
"""Audit events of PS3.15 Section A.5.3, as far as this server emits them.

Invariant: an event names people, devices and objects; it never holds a secret (password, token,
key), and text from the wire stands only in values, never in names.
"""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final, TypedDict, Unpack

import msgspec

from radkeep.domain.actor import Actor


class EventId(StrEnum):
    """What kind of thing happened: code values of DCM (PS3.16 CID 400)."""

    APPLICATION_ACTIVITY = "110100"
    AUDIT_LOG_USED = "110101"
    BEGIN_TRANSFERRING = "110102"
    INSTANCES_ACCESSED = "110103"
    INSTANCES_TRANSFERRED = "110104"
    STUDY_DELETED = "110105"
    EXPORT = "110106"
    IMPORT = "110107"
    NETWORK_ENTRY = "110108"
    QUERY = "110112"
    SECURITY_ALERT = "110113"
    USER_AUTHENTICATION = "110114"


class EventType(StrEnum):
    """What exactly: code values of DCM (PS3.16 CID 401) and our own words where DCM has none."""

    NONE = ""
    APPLICATION_START = "110120"
    APPLICATION_STOP = "110121"
    LOGIN = "110122"
    LOGOUT = "110123"
    NODE_AUTHENTICATION = "110126"
    NETWORK_CONFIGURATION = "110128"
    SECURITY_CONFIGURATION = "110129"
    USE_OF_RESTRICTED_FUNCTION = "110132"
    USER_SECURITY_ATTRIBUTES_CHANGED = "110137"
    RECOVERED = "radkeep:recovered"
    QUARANTINED = "radkeep:quarantined"
    DELETION_UNDONE = "radkeep:deletion-undone"
    REFUSED = "radkeep:refused"
    VOLUME_SEALED = "radkeep:volume-sealed"
    DAMAGE_FOUND = "radkeep:damage-found"
    COMMITTED = "radkeep:committed"  # storage commitment: the sender may delete its copy


class Action(StrEnum):
    """PS3.15 Section A.5.2: EventActionCode."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


class Outcome(IntEnum):
    """PS3.15 Section A.5.2: EventOutcomeIndicator."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8
    MAJOR_FAILURE = 12


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One audited fact. The keeper adds its index and the name of the sending process."""

    event: EventId
    type: EventType = EventType.NONE
    action: Action = Action.EXECUTE
    outcome: Outcome = Outcome.SUCCESS
    time: datetime
    actor_kind: str
    actor_id: str
    actor_name: str = ""
    organization: str = ""
    address: str = ""
    session: str = ""
    study: str = ""  # Study Instance UID
    patient: str = ""  # Patient ID, one patient an event (PS3.15 Section A.5.3)
    count: int = 0  # instances, rows
    digest: str = ""  # hexadecimal: Merkle root of the SHA-256 digests of what was moved
    detail: dict[str, str] = {}


MAX_EVENT_BYTES: Final = 32_768  # encoded; PS3.15 Section A.6 asks repositories for as much


class EventFields(TypedDict, total=False):
    """What an event may say besides who, where and when."""

    type: EventType
    action: Action
    outcome: Outcome
    organization: str
    study: str
    patient: str
    count: int
    digest: str
    detail: dict[str, str]


def event_by(
    actor: Actor, event: EventId, *, time: datetime, **fields: Unpack[EventFields]
) -> Event:
    """Return ``event`` with who and where taken from ``actor``."""
    fields.setdefault("organization", actor.organization)
    return Event(
        event=event,
        time=time,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        address=actor.address,
        session=actor.session,
        **fields,
    )
