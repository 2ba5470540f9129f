# SPDX-License-Identifier: Apache-2.0
"""Items and sub-items of association PDUs (PS3.8 Section 9.3, PS3.7 Annex D.3.3).

Invariant: a decoder reads only inside the length it was given and raises ``RemoteProtocolError``
for everything it cannot read; unknown items are skipped, as PS3.8 Section 9.3.1 says.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from radkeep.dimse.wire.errors import RemoteProtocolError

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"  # PS3.7 Annex A.2.1

MAX_ITEMS: Final = 8_192  # in one PDU; 128 contexts with 60 transfer syntaxes each stay below
_MIN_MAX_LENGTH: Final = 7  # bytes: a PDV header and one byte of a fragment
_HEADER: Final = struct.Struct(">BxH")
_UID_CHARACTERS: Final = re.compile(r"[0-9.]{1,64}")


class ItemType:
    """Item type bytes: PS3.8 Sections 9.3.2 and 9.3.3, PS3.7 Annex D.3.3."""

    APPLICATION_CONTEXT: Final = 0x10
    CONTEXT_REQUEST: Final = 0x20
    CONTEXT_RESULT: Final = 0x21
    ABSTRACT_SYNTAX: Final = 0x30
    TRANSFER_SYNTAX: Final = 0x40
    USER_INFORMATION: Final = 0x50
    MAXIMUM_LENGTH: Final = 0x51
    IMPLEMENTATION_CLASS: Final = 0x52
    OPERATIONS_WINDOW: Final = 0x53
    ROLE_SELECTION: Final = 0x54
    IMPLEMENTATION_VERSION: Final = 0x55
    EXTENDED_NEGOTIATION: Final = 0x56
    COMMON_EXTENDED_NEGOTIATION: Final = 0x57
    USER_IDENTITY: Final = 0x58
    USER_IDENTITY_RESPONSE: Final = 0x59


class ContextOutcome:
    """Result/Reason of a presentation context (PS3.8 Table 9-18)."""

    ACCEPTANCE: Final = 0
    USER_REJECTION: Final = 1
    NO_REASON: Final = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED: Final = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED: Final = 4


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """PS3.8 Section 9.3.2.2."""

    id: int  # odd, 1 to 255
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextResult:
    """PS3.8 Section 9.3.3.2."""

    id: int
    outcome: int
    transfer_syntax: str = ""  # not significant unless accepted


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """PS3.7 Annex D.3.3.4: which roles the association requestor takes for a SOP class."""

    sop_class: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class OperationsWindow:
    """PS3.7 Annex D.3.3.3: outstanding operations, from the requestor's side; 0 is unlimited."""

    invoked: int
    performed: int


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """PS3.7 Annex D.3.3.7. We never ask for it and never rely on it."""

    type: int
    response_requested: bool
    primary: bytes
    secondary: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInformation:
    """PS3.8 Section 9.3.2.3 with the sub-items of PS3.7 Annex D.3.3."""

    max_length: int = 0  # bytes of a P-DATA-TF PDU's variable field; 0 is unlimited
    implementation_class: str = ""
    implementation_version: str = ""
    window: OperationsWindow | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[tuple[str, bytes], ...] = ()  # SOP class, service class application information
    common_extended: tuple[bytes, ...] = ()  # undecoded: nothing of it concerns us
    identity: UserIdentity | None = None
    identity_response: bytes | None = None


def item(kind: int, value: bytes) -> bytes:
    """Return one item: type, reserved byte, 16-bit length, value."""
    return _HEADER.pack(kind, len(value)) + value


class ItemReader:
    """Walks the items of one PDU and counts them, at all levels together."""

    def __init__(self) -> None:
        self._seen = 0

    def walk(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield type and value of each item in ``data``.

        Raises:
            RemoteProtocolError: an item ends beyond ``data``, or there are over ``MAX_ITEMS``.
        """
        position, end = 0, len(data)
        while position < end:
            self._seen += 1
            if self._seen > MAX_ITEMS:
                raise RemoteProtocolError("too many items in an association PDU")
            if end - position < _HEADER.size:
                raise RemoteProtocolError("an item's header is cut short")
            kind, length = _HEADER.unpack_from(data, position)
            position += _HEADER.size
            if length > end - position:
                raise RemoteProtocolError("an item is longer than what holds it")
            yield kind, data[position : position + length]
            position += length


def read_uid(value: bytes) -> str:
    """Return a UID of an item, without padding.

    Raises:
        RemoteProtocolError: other characters than PS3.5 Section 9.1 allows, or more than 64.
    """
    text = value.rstrip(b"\0 ").decode("latin-1")
    if not _UID_CHARACTERS.fullmatch(text):
        raise RemoteProtocolError("an item holds no UID where one belongs")
    return text


def read_proposed(value: bytes, reader: ItemReader) -> ProposedContext:
    """Decode a proposed presentation context.

    Raises:
        RemoteProtocolError: an even identifier, no abstract syntax or two of them.
    """
    identifier = _context_id(value)
    abstract = ""
    syntaxes: list[str] = []
    for kind, content in reader.walk(value[4:]):
        if kind == ItemType.ABSTRACT_SYNTAX:
            if abstract:
                raise RemoteProtocolError("a presentation context has two abstract syntaxes")
            abstract = read_uid(content)
        elif kind == ItemType.TRANSFER_SYNTAX:
            syntaxes.append(read_uid(content))
    if not abstract:
        raise RemoteProtocolError("a presentation context has no abstract syntax")
    return ProposedContext(identifier, abstract, tuple(syntaxes))


def write_proposed(context: ProposedContext) -> bytes:
    """Encode a proposed presentation context."""
    syntaxes = (item(ItemType.TRANSFER_SYNTAX, uid.encode()) for uid in context.transfer_syntaxes)
    abstract = item(ItemType.ABSTRACT_SYNTAX, context.abstract_syntax.encode())
    return item(
        ItemType.CONTEXT_REQUEST, bytes((context.id, 0, 0, 0)) + abstract + b"".join(syntaxes)
    )


def read_result(value: bytes, reader: ItemReader) -> ContextResult:
    """Decode the answer to a proposed presentation context.

    Raises:
        RemoteProtocolError: an even identifier, or an acceptance without a transfer syntax.
    """
    identifier, outcome = _context_id(value), value[2]
    syntaxes = [v for kind, v in reader.walk(value[4:]) if kind == ItemType.TRANSFER_SYNTAX]
    if outcome != ContextOutcome.ACCEPTANCE:
        return ContextResult(identifier, outcome)
    if len(syntaxes) != 1:
        raise RemoteProtocolError("an accepted context needs exactly one transfer syntax")
    return ContextResult(identifier, outcome, read_uid(syntaxes[0]))


def write_result(result: ContextResult) -> bytes:
    """Encode the answer to a proposed presentation context.

    A refusal carries an empty transfer syntax item: its value "shall not be significant".
    """
    syntax = item(ItemType.TRANSFER_SYNTAX, result.transfer_syntax.encode())
    return item(ItemType.CONTEXT_RESULT, bytes((result.id, 0, result.outcome, 0)) + syntax)


def _context_id(value: bytes) -> int:
    if len(value) < _HEADER.size or value[0] % 2 == 0:
        raise RemoteProtocolError("a presentation context has no odd identifier")
    return value[0]


def read_max_length(value: bytes) -> int:
    """Decode the maximum length (PS3.8 Annex D.1).

    Raises:
        RemoteProtocolError: not four bytes, or no room for a single byte of a fragment.
    """
    if len(value) != 4:  # noqa: PLR2004 - the width the standard gives
        raise RemoteProtocolError("a maximum length sub-item is not four bytes long")
    length = int.from_bytes(value, "big")
    if 0 < length < _MIN_MAX_LENGTH:
        raise RemoteProtocolError("the maximum length leaves no room for data")
    return length
