# SPDX-License-Identifier: Apache-2.0
"""The seven PDUs of PS3.8 Section 9.3, as values and as bytes.

Invariant: ``decode`` of what ``encode`` made gives the same value, and ``decode`` of anything
else gives a value or ``RemoteProtocolError``.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeVar

from radkeep.dimse.wire import user_information
from radkeep.dimse.wire.errors import AbortReason, RemoteProtocolError
from radkeep.dimse.wire.items import (
    APPLICATION_CONTEXT,
    ContextResult,
    ItemReader,
    ItemType,
    ProposedContext,
    UserInformation,
    item,
    read_proposed,
    read_result,
    read_uid,
    write_proposed,
    write_result,
)

HEADER: Final = struct.Struct(">BxI")  # type, reserved, length of what follows
FRAGMENT: Final = struct.Struct(">IBB")  # PDV length, context, control header (PS3.8 Annex E.2)
PROTOCOL_VERSION: Final = 1  # bit 0 of the version field, PS3.8 Table 9-11
MAX_TITLE: Final = 16  # characters of an AE title
_FRAMED: Final = struct.Struct(">BxIIBB")  # HEADER and FRAGMENT
_FIXED: Final = struct.Struct(">HH16s16s32x")
_SHORT_BODY: Final = 4  # bytes after the header of RJ, RELEASE and ABORT


class PduType(IntEnum):
    """PDU type bytes (PS3.8 Section 9.3)."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ (PS3.8 Table 9-11)."""

    called: str
    calling: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation = field(default_factory=UserInformation)
    application_context: str = APPLICATION_CONTEXT
    version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateAccept:
    """A-ASSOCIATE-AC (PS3.8 Table 9-17). The titles repeat the request's; nobody tests them."""

    called: str
    calling: str
    contexts: tuple[ContextResult, ...]
    user: UserInformation = field(default_factory=UserInformation)
    application_context: str = APPLICATION_CONTEXT
    version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    result: int  # 1 permanent, 2 transient
    source: int  # 1 service user, 2 provider (ACSE), 3 provider (presentation)
    reason: int


@dataclass(frozen=True, slots=True)
class PresentationData:
    """One presentation data value: a fragment of a command or of a data set."""

    context_id: int
    is_command: bool
    last: bool
    value: bytes


@dataclass(frozen=True, slots=True)
class DataTransfer:
    """P-DATA-TF (PS3.8 Table 9-22) as a whole; ``connection`` reads it as a stream instead."""

    values: tuple[PresentationData, ...]


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ (PS3.8 Table 9-24)."""


@dataclass(frozen=True, slots=True)
class ReleaseReply:
    """A-RELEASE-RP (PS3.8 Table 9-25)."""


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT (PS3.8 Table 9-26)."""

    source: int  # 0 service user, 2 service provider
    reason: int = AbortReason.NOT_SPECIFIED


_ContextT = TypeVar("_ContextT", ProposedContext, ContextResult)

Pdu = (
    AssociateRequest
    | AssociateAccept
    | AssociateReject
    | DataTransfer
    | ReleaseRequest
    | ReleaseReply
    | Abort
)


def encode(pdu: Pdu) -> bytes:
    """Return ``pdu`` as it goes over the wire."""
    match pdu:
        case AssociateRequest():
            contexts = b"".join(write_proposed(context) for context in pdu.contexts)
            kind, body = PduType.ASSOCIATE_RQ, _association(pdu, contexts)
        case AssociateAccept():
            contexts = b"".join(write_result(result) for result in pdu.contexts)
            kind, body = PduType.ASSOCIATE_AC, _association(pdu, contexts)
        case AssociateReject():
            kind, body = PduType.ASSOCIATE_RJ, bytes((0, pdu.result, pdu.source, pdu.reason))
        case DataTransfer():
            kind, body = PduType.DATA, b"".join(map(_fragment, pdu.values))
        case ReleaseRequest():
            kind, body = PduType.RELEASE_RQ, bytes(_SHORT_BODY)
        case ReleaseReply():
            kind, body = PduType.RELEASE_RP, bytes(_SHORT_BODY)
        case _:
            kind, body = PduType.ABORT, bytes((0, 0, pdu.source, pdu.reason))
    return _pdu(kind, body)


def decode(kind: int, body: bytes) -> Pdu:
    """Return the PDU of type ``kind`` with the variable field ``body``.

    Raises:
        RemoteProtocolError: an unknown type, or a body that its type does not allow.
    """
    reader = _READERS.get(kind)
    if reader is None:
        raise RemoteProtocolError("unknown PDU type", AbortReason.UNRECOGNIZED_PDU)
    return reader(body)


def fragments(
    context_id: int, payload: bytes, *, is_command: bool, max_length: int
) -> Iterator[bytes]:
    """Yield ``payload`` as P-DATA-TF PDUs of one fragment each.

    ``max_length`` is the peer's maximum of the variable field in bytes, at least 7.
    """
    room = max_length - FRAGMENT.size
    for start in range(0, len(payload) or 1, room):
        part = payload[start : start + room]
        last = start + room >= len(payload)
        value = PresentationData(context_id, is_command, last, part)
        yield _pdu(PduType.DATA, _fragment(value))


def framed(
    context_id: int, payload: bytes | memoryview, *, last: bool, max_length: int
) -> list[bytes | memoryview]:
    """Return a piece of a data set as P-DATA-TF PDUs: headers between slices of ``payload``.

    Args:
        context_id: of the presentation context.
        payload: the piece; nothing of it is copied.
        last: whether the data set ends with it.
        max_length: the peer's maximum of the variable field in bytes, at least 7.
    """
    room = (max_length - FRAGMENT.size) & ~1 or 1  # of even length (PS3.8 Annex E.2)
    view, end = memoryview(payload), len(payload)
    if end <= room:
        head = _FRAMED.pack(PduType.DATA, end + 6, end + 2, context_id, 2 if last else 0)
        return [head, view]
    between = _FRAMED.pack(PduType.DATA, room + 6, room + 2, context_id, 0)
    buffers: list[bytes | memoryview] = []
    for start in range(0, end - room, room):
        buffers += (between, view[start : start + room])
    return buffers + framed(
        context_id, view[(end - 1) // room * room :], last=last, max_length=max_length
    )


def _pdu(kind: PduType, body: bytes) -> bytes:
    return HEADER.pack(kind, len(body)) + body


def _fragment(value: PresentationData) -> bytes:
    control = int(value.is_command) | int(value.last) << 1
    return FRAGMENT.pack(len(value.value) + 2, value.context_id, control) + value.value


def _association(pdu: AssociateRequest | AssociateAccept, contexts: bytes) -> bytes:
    fixed = _FIXED.pack(pdu.version, 0, _title(pdu.called), _title(pdu.calling))
    application = item(ItemType.APPLICATION_CONTEXT, pdu.application_context.encode())
    return fixed + application + contexts + user_information.write(pdu.user)


def _title(text: str) -> bytes:
    return text.encode("ascii", "replace").ljust(MAX_TITLE)[:MAX_TITLE]


def _read_title(raw: bytes) -> str:
    """Return an AE title without its padding; what is not printable ASCII matches nobody."""
    text = "".join(chr(c) if " " <= chr(c) <= "~" else "?" for c in raw.rstrip(b"\0"))
    return text.strip(" ")


def _read_fixed(body: bytes) -> tuple[int, str, str]:
    if len(body) < _FIXED.size:
        raise RemoteProtocolError("an association PDU is cut short")
    version, _, called, calling = _FIXED.unpack_from(body)
    return version, _read_title(called), _read_title(calling)


def _read_request(body: bytes) -> AssociateRequest:
    version, called, calling = _read_fixed(body)
    application, contexts, user = _read_items(body, ItemType.CONTEXT_REQUEST, read_proposed)
    return AssociateRequest(
        called=called,
        calling=calling,
        contexts=contexts,
        user=user,
        application_context=application,
        version=version,
    )


def _read_accept(body: bytes) -> AssociateAccept:
    version, called, calling = _read_fixed(body)
    application, contexts, user = _read_items(body, ItemType.CONTEXT_RESULT, read_result)
    return AssociateAccept(
        called=called,
        calling=calling,
        contexts=contexts,
        user=user,
        application_context=application,
        version=version,
    )


def _read_items(
    body: bytes, context_type: int, read_context: Callable[[bytes, ItemReader], _ContextT]
) -> tuple[str, tuple[_ContextT, ...], UserInformation]:
    reader = ItemReader()
    application, user = "", UserInformation()
    contexts: dict[int, _ContextT] = {}
    for kind, value in reader.walk(body[_FIXED.size :]):
        if kind == ItemType.APPLICATION_CONTEXT:
            application = read_uid(value)
        elif kind == context_type:
            context = read_context(value, reader)
            if context.id in contexts:
                raise RemoteProtocolError("two presentation contexts share an identifier")
            contexts[context.id] = context
        elif kind == ItemType.USER_INFORMATION:
            user = user_information.read(value, reader)
    return application, tuple(contexts.values()), user


def _read_fragments(body: bytes) -> Iterator[PresentationData]:
    position = 0
    while position < len(body):
        if len(body) - position < FRAGMENT.size:
            raise RemoteProtocolError("a PDV is cut short")
        length, context_id, control = FRAGMENT.unpack_from(body, position)
        start, position = position + FRAGMENT.size, position + 4 + length
        if length < 2 or position > len(body):  # noqa: PLR2004 - context and control header
            raise RemoteProtocolError("a PDV's length contradicts its PDU")
        value = body[start:position]
        yield PresentationData(context_id, bool(control & 1), bool(control & 2), value)


def _read_reject(body: bytes) -> AssociateReject:
    _, result, source, reason = _short(body)
    return AssociateReject(result, source, reason)


def _read_data(body: bytes) -> DataTransfer:
    return DataTransfer(tuple(_read_fragments(body)))


def _read_release_request(body: bytes) -> ReleaseRequest:
    _short(body)
    return ReleaseRequest()


def _read_release_reply(body: bytes) -> ReleaseReply:
    _short(body)
    return ReleaseReply()


def _read_abort(body: bytes) -> Abort:
    _, _, source, reason = _short(body)
    return Abort(source, reason)


def _short(body: bytes) -> bytes:
    if len(body) != _SHORT_BODY:
        raise RemoteProtocolError("a PDU of fixed length has another length")
    return body


_READERS: Final[Mapping[int, Callable[[bytes], Pdu]]] = {
    PduType.ASSOCIATE_RQ: _read_request,
    PduType.ASSOCIATE_AC: _read_accept,
    PduType.ASSOCIATE_RJ: _read_reject,
    PduType.DATA: _read_data,
    PduType.RELEASE_RQ: _read_release_request,
    PduType.RELEASE_RP: _read_release_reply,
    PduType.ABORT: _read_abort,
}
