# SPDX-License-Identifier: Apache-2.0
"""The user information item and its sub-items, both ways (PS3.7 Annex D.3.3).

Invariant: ``read(write(information)) == information``; a sub-item that occurs twice where the
standard allows one takes its last value, as DCMTK does.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

from radkeep.dimse.wire.errors import RemoteProtocolError
from radkeep.dimse.wire.items import (
    ItemReader,
    ItemType,
    OperationsWindow,
    RoleSelection,
    UserIdentity,
    UserInformation,
    item,
    read_max_length,
    read_uid,
)

_SHORT: Final = struct.Struct(">H")
_WINDOW: Final = struct.Struct(">HH")
_MAX_VERSION: Final = 16  # characters, PS3.7 Annex D.3.3.2.3


@dataclass(slots=True)
class _Draft:
    max_length: int = 0
    implementation_class: str = ""
    implementation_version: str = ""
    window: OperationsWindow | None = None
    roles: list[RoleSelection] = field(default_factory=list)
    extended: list[tuple[str, bytes]] = field(default_factory=list)
    common: list[bytes] = field(default_factory=list)
    identity: UserIdentity | None = None
    identity_response: bytes | None = None


def read(value: bytes, reader: ItemReader) -> UserInformation:
    """Decode the sub-items of a user information item; unknown ones are skipped.

    Raises:
        RemoteProtocolError: a sub-item's length contradicts its form.
    """
    draft = _Draft()
    for kind, content in reader.walk(value):
        _read_one(draft, kind, content)
    return UserInformation(
        max_length=draft.max_length,
        implementation_class=draft.implementation_class,
        implementation_version=draft.implementation_version,
        window=draft.window,
        roles=tuple(draft.roles),
        extended=tuple(draft.extended),
        common_extended=tuple(draft.common),
        identity=draft.identity,
        identity_response=draft.identity_response,
    )


def _read_one(draft: _Draft, kind: int, content: bytes) -> None:
    match kind:
        case ItemType.MAXIMUM_LENGTH:
            draft.max_length = read_max_length(content)
        case ItemType.IMPLEMENTATION_CLASS:
            draft.implementation_class = read_uid(content) if content else ""
        case ItemType.IMPLEMENTATION_VERSION:
            draft.implementation_version = _text(content)
        case ItemType.OPERATIONS_WINDOW:
            draft.window = OperationsWindow(*_WINDOW.unpack(_exactly(content, _WINDOW.size)))
        case ItemType.ROLE_SELECTION:
            uid, rest = _prefixed(content)
            scu, scp = _exactly(rest, 2)
            draft.roles.append(RoleSelection(read_uid(uid), scu == 1, scp == 1))
        case ItemType.EXTENDED_NEGOTIATION:
            uid, rest = _prefixed(content)
            draft.extended.append((read_uid(uid), rest))
        case ItemType.COMMON_EXTENDED_NEGOTIATION:
            draft.common.append(content)
        case ItemType.USER_IDENTITY:
            draft.identity = _read_identity(content)
        case ItemType.USER_IDENTITY_RESPONSE:
            draft.identity_response, _ = _prefixed(content)
        case _:
            pass


def write(information: UserInformation) -> bytes:
    """Encode a user information item."""
    parts = [item(ItemType.MAXIMUM_LENGTH, information.max_length.to_bytes(4, "big"))]
    if information.implementation_class:
        parts.append(item(ItemType.IMPLEMENTATION_CLASS, information.implementation_class.encode()))
    if window := information.window:
        parts.append(
            item(ItemType.OPERATIONS_WINDOW, _WINDOW.pack(window.invoked, window.performed))
        )
    parts += [
        item(ItemType.ROLE_SELECTION, _prefix(r.sop_class.encode()) + bytes((r.scu, r.scp)))
        for r in information.roles
    ]
    if information.implementation_version:
        version = information.implementation_version.encode("ascii")
        parts.append(item(ItemType.IMPLEMENTATION_VERSION, version))
    parts += [
        item(ItemType.EXTENDED_NEGOTIATION, _prefix(uid.encode()) + content)
        for uid, content in information.extended
    ]
    parts += [
        item(ItemType.COMMON_EXTENDED_NEGOTIATION, content)
        for content in information.common_extended
    ]
    if identity := information.identity:
        head = bytes((identity.type, identity.response_requested))
        body = _prefix(identity.primary) + _prefix(identity.secondary)
        parts.append(item(ItemType.USER_IDENTITY, head + body))
    if information.identity_response is not None:
        parts.append(item(ItemType.USER_IDENTITY_RESPONSE, _prefix(information.identity_response)))
    return item(ItemType.USER_INFORMATION, b"".join(parts))


def _read_identity(content: bytes) -> UserIdentity:
    if len(content) < _SHORT.size:
        raise RemoteProtocolError("a user identity sub-item is cut short")
    primary, rest = _prefixed(content[2:])
    secondary, _ = _prefixed(rest)
    return UserIdentity(content[0], content[1] == 1, primary, secondary)


def _prefix(value: bytes) -> bytes:
    return _SHORT.pack(len(value)) + value


def _prefixed(content: bytes) -> tuple[bytes, bytes]:
    """Return the value behind a 16-bit length, and what follows it."""
    if len(content) < _SHORT.size:
        raise RemoteProtocolError("a sub-item is cut short")
    (length,) = _SHORT.unpack_from(content)
    if length > len(content) - _SHORT.size:
        raise RemoteProtocolError("a field is longer than its sub-item")
    return content[2 : 2 + length], content[2 + length :]


def _exactly(content: bytes, length: int) -> bytes:
    if len(content) != length:
        raise RemoteProtocolError("a sub-item does not have the length of its type")
    return content


def _text(content: bytes) -> str:
    """Return printable ASCII; anything else becomes a question mark, for it is only shown."""
    text = "".join(chr(c) if " " <= chr(c) <= "~" else "?" for c in content[:_MAX_VERSION])
    return text.strip()
