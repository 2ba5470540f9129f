# SPDX-License-Identifier: Apache-2.0
"""Command sets: group 0000 in implicit VR little endian (PS3.7 Section 6.3 and Annex E.1).

Invariant: ``decode`` gives a ``Command`` or ``RemoteProtocolError``; a ``Command`` always has a
command field and, for requests and responses, the message identifier that its kind needs.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from radkeep.dimse.wire.errors import RemoteProtocolError

NO_DATA_SET: Final = 0x0101  # PS3.7 Annex E.1: any other value announces a data set
DATA_SET: Final = 0x0001
RESPONSE_BIT: Final = 0x8000
MAX_COMMAND: Final = 65_536  # bytes; real ones stay below 1 KiB, N-ACTION's lists included

_ELEMENT: Final = struct.Struct("<HHI")
_US: Final = struct.Struct("<H")
_UL: Final = struct.Struct("<I")


class CommandField(IntEnum):
    """(0000,0100) of requests (PS3.7 Annex E.1); a response has ``RESPONSE_BIT`` set."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_GET = 0x0110
    N_SET = 0x0120
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    N_DELETE = 0x0150
    C_CANCEL = 0x0FFF


class Element:
    """Element numbers of group 0000 that we read or write (PS3.7 Annex E.1)."""

    GROUP_LENGTH: Final = 0x0000
    AFFECTED_SOP_CLASS: Final = 0x0002
    REQUESTED_SOP_CLASS: Final = 0x0003
    COMMAND_FIELD: Final = 0x0100
    MESSAGE_ID: Final = 0x0110
    MESSAGE_ID_RESPONDED_TO: Final = 0x0120
    MOVE_DESTINATION: Final = 0x0600
    PRIORITY: Final = 0x0700
    DATA_SET_TYPE: Final = 0x0800
    STATUS: Final = 0x0900
    ERROR_COMMENT: Final = 0x0902
    AFFECTED_SOP_INSTANCE: Final = 0x1000
    REQUESTED_SOP_INSTANCE: Final = 0x1001
    EVENT_TYPE: Final = 0x1002
    ACTION_TYPE: Final = 0x1008
    REMAINING: Final = 0x1020
    COMPLETED: Final = 0x1021
    FAILED: Final = 0x1022
    WARNING: Final = 0x1023
    MOVE_ORIGINATOR: Final = 0x1030
    MOVE_ORIGINATOR_MESSAGE_ID: Final = 0x1031


_NUMBERS: Final = frozenset(
    {
        Element.COMMAND_FIELD,
        Element.MESSAGE_ID,
        Element.MESSAGE_ID_RESPONDED_TO,
        Element.PRIORITY,
        Element.DATA_SET_TYPE,
        Element.STATUS,
        Element.EVENT_TYPE,
        Element.ACTION_TYPE,
        Element.REMAINING,
        Element.COMPLETED,
        Element.FAILED,
        Element.WARNING,
        Element.MOVE_ORIGINATOR_MESSAGE_ID,
    }
)
_UIDS: Final = frozenset(
    {
        Element.AFFECTED_SOP_CLASS,
        Element.REQUESTED_SOP_CLASS,
        Element.AFFECTED_SOP_INSTANCE,
        Element.REQUESTED_SOP_INSTANCE,
    }
)
_AFFECTED: Final = {  # what was requested is what is affected, in the answer
    Element.REQUESTED_SOP_CLASS: Element.AFFECTED_SOP_CLASS,
    Element.REQUESTED_SOP_INSTANCE: Element.AFFECTED_SOP_INSTANCE,
    Element.AFFECTED_SOP_CLASS: Element.AFFECTED_SOP_CLASS,
    Element.AFFECTED_SOP_INSTANCE: Element.AFFECTED_SOP_INSTANCE,
}
_TEXTS: Final = frozenset(
    {Element.MOVE_DESTINATION, Element.ERROR_COMMENT, Element.MOVE_ORIGINATOR}
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command set: numbers and texts by element number."""

    numbers: Mapping[int, int]
    texts: Mapping[int, str]

    @property
    def field(self) -> int:
        """The command field, with ``RESPONSE_BIT`` for a response."""
        return self.numbers[Element.COMMAND_FIELD]

    @property
    def message_id(self) -> int:
        """The message's own identifier, or for responses and C-CANCEL the one it refers to."""
        return self.numbers[_identifier(self.field)]

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows. A command that does not say has none."""
        return self.numbers.get(Element.DATA_SET_TYPE, NO_DATA_SET) != NO_DATA_SET

    @property
    def status(self) -> int | None:
        """The status of a response."""
        return self.numbers.get(Element.STATUS)

    @property
    def requested(self) -> tuple[str, str]:
        """The requested SOP Class and Instance UIDs as sent, not checked; empty if missing."""
        texts = self.texts
        return (
            texts.get(Element.REQUESTED_SOP_CLASS, ""),
            texts.get(Element.REQUESTED_SOP_INSTANCE, ""),
        )

    @property
    def sop_class(self) -> str:
        """The affected SOP Class UID as sent, not checked; empty if there is none."""
        return self.texts.get(Element.AFFECTED_SOP_CLASS, "")

    @property
    def sop_instance(self) -> str:
        """The affected SOP Instance UID as sent, not checked; empty if there is none."""
        return self.texts.get(Element.AFFECTED_SOP_INSTANCE, "")

    def encode(self) -> bytes:
        """Return the command set with its group length, elements in ascending order."""
        elements = []
        for number, value in self.numbers.items():
            elements.append(_ELEMENT.pack(0, number, _US.size) + _US.pack(value))
        for number, text in self.texts.items():
            raw = _pad(number, text)
            elements.append(_ELEMENT.pack(0, number, len(raw)) + raw)
        elements.sort(key=_number)
        body = b"".join(elements)
        return _ELEMENT.pack(0, Element.GROUP_LENGTH, _UL.size) + _UL.pack(len(body)) + body


def decode(data: bytes) -> Command:
    """Return the command set that ``data`` holds; elements we do not know are skipped.

    Raises:
        RemoteProtocolError: another group, an element twice or cut short, a number that is not
            two bytes long, no command field, no message identifier.
    """
    numbers: dict[int, int] = {}
    texts: dict[int, str] = {}
    position, end, previous = 0, len(data), -1
    while position < end:
        if end - position < _ELEMENT.size:
            raise RemoteProtocolError("a command element is cut short")
        group, number, length = _ELEMENT.unpack_from(data, position)
        position += _ELEMENT.size
        if group or number <= previous:
            raise RemoteProtocolError("command elements are not in ascending order in group 0000")
        if length > end - position:
            raise RemoteProtocolError("a command element is longer than its command set")
        previous, value = number, data[position : position + length]
        position += length
        if number in _NUMBERS:
            if length != _US.size:
                raise RemoteProtocolError("a command element of VR US is not two bytes long")
            (numbers[number],) = _US.unpack(value)
        elif number in _UIDS or number in _TEXTS:
            texts[number] = value.decode("latin-1").rstrip("\0 ")
    _check(numbers)
    return Command(numbers, texts)


def _check(numbers: Mapping[int, int]) -> None:
    field = numbers.get(Element.COMMAND_FIELD)
    if field is None:
        raise RemoteProtocolError("a command set has no command field")
    if _identifier(field) not in numbers:
        raise RemoteProtocolError("a command set has no message identifier")


def _identifier(field: int) -> int:
    """Return the element that identifies the message for a command field."""
    refers = field & RESPONSE_BIT or field == CommandField.C_CANCEL
    return Element.MESSAGE_ID_RESPONDED_TO if refers else Element.MESSAGE_ID


def response(
    request: Command,
    status: int,
    *,
    comment: str = "",
    data_set: bool = False,
    counts: Mapping[int, int] | None = None,
) -> Command:
    """Return the answer to ``request`` (PS3.7 Section 9.3).

    ``comment`` goes into Error Comment: at most 64 characters, safe for a peer. ``counts`` are
    numbers of sub-operations by element, ``data_set`` tells whether one follows.
    """
    numbers = {
        Element.COMMAND_FIELD: request.field | RESPONSE_BIT,
        Element.MESSAGE_ID_RESPONDED_TO: request.message_id,
        Element.DATA_SET_TYPE: DATA_SET if data_set else NO_DATA_SET,
        Element.STATUS: status,
        **(counts or {}),
    }
    for number in (Element.ACTION_TYPE, Element.EVENT_TYPE):
        if number in request.numbers:
            numbers[number] = request.numbers[number]
    texts = {
        affected: request.texts[number]
        for number, affected in _AFFECTED.items()
        if number in request.texts
    }
    if comment:
        texts[Element.ERROR_COMMENT] = comment[:64]
    return Command(numbers, texts)


def request(
    message_id: int,
    field: CommandField,
    sop_class: str,
    sop_instance: str = "",
    *,
    originator: tuple[str, int] | None = None,
) -> Command:
    """Return a request (PS3.7 Sections 9.3.1.1 and 9.3.5.1); with an instance, data follow."""
    numbers = {
        Element.COMMAND_FIELD: int(field),
        Element.MESSAGE_ID: message_id,
        Element.DATA_SET_TYPE: DATA_SET if field != CommandField.C_ECHO else NO_DATA_SET,
    }
    texts = {Element.AFFECTED_SOP_CLASS: sop_class}
    if field != CommandField.C_ECHO:
        numbers[Element.PRIORITY] = 0  # medium
    if sop_instance:
        texts[Element.AFFECTED_SOP_INSTANCE] = sop_instance
    if originator is not None:
        texts[Element.MOVE_ORIGINATOR] = originator[0]
        numbers[Element.MOVE_ORIGINATOR_MESSAGE_ID] = originator[1]
    return Command(numbers, texts)


def event_report(message_id: int, sop_class: str, sop_instance: str, event: int) -> Command:
    """Return an N-EVENT-REPORT-RQ, which a data set follows (PS3.7 Section 10.3.1.1)."""
    return Command(
        {
            Element.COMMAND_FIELD: int(CommandField.N_EVENT_REPORT),
            Element.MESSAGE_ID: message_id,
            Element.DATA_SET_TYPE: DATA_SET,
            Element.EVENT_TYPE: event,
        },
        {Element.AFFECTED_SOP_CLASS: sop_class, Element.AFFECTED_SOP_INSTANCE: sop_instance},
    )


_number: Final = _ELEMENT.unpack_from  # group, number, length: what elements are sorted by


def _pad(number: int, text: str) -> bytes:
    raw = text.encode("latin-1", "replace")
    return raw + (b"\0" if number in _UIDS else b" ") * (len(raw) % 2)
