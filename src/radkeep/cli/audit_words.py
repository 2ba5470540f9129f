# SPDX-License-Identifier: Apache-2.0
"""Audit entries as a person reads them: codes as words, one line an entry.

Invariant: only for people; an entry with a code that is not known here keeps its code.
"""

from collections.abc import Mapping
from typing import Any, Final

from radkeep.audit.events import EventId, EventType

COLUMNS: Final = ("index", "time", "who", "what", "about")

_EVENTS: Final[Mapping[str, str]] = {
    EventId.APPLICATION_ACTIVITY: "server",
    EventId.AUDIT_LOG_USED: "audit log read",
    EventId.BEGIN_TRANSFERRING: "transfer begun",
    EventId.INSTANCES_ACCESSED: "objects accessed",
    EventId.INSTANCES_TRANSFERRED: "objects transferred",
    EventId.STUDY_DELETED: "study deleted",
    EventId.EXPORT: "export",
    EventId.IMPORT: "import",
    EventId.NETWORK_ENTRY: "network entry",
    EventId.QUERY: "query",
    EventId.SECURITY_ALERT: "security",
    EventId.USER_AUTHENTICATION: "authentication",
}
_TYPES: Final[Mapping[str, str]] = {
    EventType.APPLICATION_START: "started",
    EventType.APPLICATION_STOP: "stopped",
    EventType.LOGIN: "sign-in",
    EventType.LOGOUT: "sign-out",
    EventType.NODE_AUTHENTICATION: "peer authentication",
    EventType.NETWORK_CONFIGURATION: "network settings",
    EventType.SECURITY_CONFIGURATION: "security settings",
    EventType.USE_OF_RESTRICTED_FUNCTION: "restricted function",
    EventType.USER_SECURITY_ATTRIBUTES_CHANGED: "account settings",
    EventType.RECOVERED: "recovered",
    EventType.QUARANTINED: "quarantined",
    EventType.DELETION_UNDONE: "deletion undone",
    EventType.REFUSED: "refused",
    EventType.VOLUME_SEALED: "volume sealed",
    EventType.DAMAGE_FOUND: "damage found",
    EventType.COMMITTED: "storage committed",
}
# What an entry's detail says first, most telling first; ``--json`` has all of it.
_TELLING: Final = (
    "deed",
    "error",
    "reason",
    "called",
    "step",
    "proof",
    "device",
    "zone",
    "email",
    "name",
    "keys",
    "purpose",
)
_COUNTED: Final[Mapping[str, str]] = {
    EventId.BEGIN_TRANSFERRING: "objects",
    EventId.INSTANCES_ACCESSED: "objects",
    EventId.INSTANCES_TRANSFERRED: "objects",
    EventId.STUDY_DELETED: "objects",
    EventId.QUERY: "found",
}


def row(entry: Mapping[str, Any]) -> dict[str, object]:
    """Return ``entry`` as a line of a table with ``COLUMNS``."""
    return {
        "index": entry.get("index"),
        "time": entry.get("time"),
        "who": entry.get("actor_name") or entry.get("actor_id"),
        "what": _what(entry),
        "about": _about(entry),
    }


def _what(entry: Mapping[str, Any]) -> str:
    event, kind = str(entry.get("event", "")), str(entry.get("type", ""))
    word = _TYPES.get(kind, kind) or _EVENTS.get(event, event)
    if kind in {EventType.REFUSED, EventType.QUARANTINED}:
        return f"{word}: {_EVENTS.get(event, event)}"
    if _detail(entry).get("phase") == "intent":
        return f"{word}, intent"  # before the deed; its outcome is an entry of its own
    return f"{word}, failed" if entry.get("outcome") else word


def _about(entry: Mapping[str, Any]) -> str:
    detail = _detail(entry)
    told = [str(detail[key]) for key in _TELLING if detail.get(key)]
    counted = _COUNTED.get(str(entry.get("event", "")))
    if counted and (count := entry.get("count")):
        told.append(f"{count} {counted}")
    if study := entry.get("study"):
        told.append(f"study {study}")
    return ", ".join(told)


def _detail(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return entry.get("detail") or {}
