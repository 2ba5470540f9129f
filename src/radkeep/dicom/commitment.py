# SPDX-License-Identifier: Apache-2.0
"""What a storage commitment says, both ways (PS3.4 Tables J.3-1 and J.3-2).

Invariant: any bytes give a request or one of the errors named; a request holds at least one
reference, each once, and at most ``MAX_REFERENCES``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from radkeep.dicom.encode import Element, encode
from radkeep.dicom.headers import coding
from radkeep.dicom.reader import Event, What, read
from radkeep.dicom.syntaxes import syntax
from radkeep.domain.errors import InvalidRequestError
from radkeep.domain.uid import Uid

STORAGE_COMMITMENT: Final = "1.2.840.10008.1.20.1"  # Push Model SOP Class
WELL_KNOWN_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
MAX_REFERENCES: Final = 20_000  # of one request; as many fit in ``MAX_ACTION``
MAX_ACTION: Final = 4 << 20  # bytes

_TRANSACTION: Final = 0x00081195
_REFERENCED: Final = 0x00081199  # Referenced SOP Sequence
_CLASS, _INSTANCE = 0x00081150, 0x00081155
_FAILED: Final = 0x00081198  # Failed SOP Sequence
_REASON: Final = 0x00081197
_RETRIEVE_AE: Final = 0x00080054


class Reference(NamedTuple):
    """One instance, as its sender knows it."""

    sop_class: Uid
    sop_instance: Uid


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """A transaction and what it asks to be kept."""

    transaction: Uid
    references: Sequence[Reference]

    @classmethod
    def read(cls, data: bytes, transfer_syntax: str) -> "CommitmentRequest":
        """Return the request in an Action Information.

        Raises:
            UndecodableError: not a data set.
            InvalidUidError: a UID is none.
            InvalidRequestError: no transaction, no references, too many, or one without both UIDs.
        """
        encoding = syntax(transfer_syntax)
        transaction = ""
        path: list[int] = []
        items: list[dict[int, str]] = []
        for event in read(data, coding(explicit=encoding.explicit, big=encoding.big)):
            if event.what is What.OPEN:
                path.append(event.tag)
            elif event.what is What.CLOSE:
                path.pop()
            elif event.what is What.ITEM and path == [_REFERENCED]:
                items.append({})
                if len(items) > MAX_REFERENCES:
                    raise InvalidRequestError("too many references in one commitment")
            elif event.what is What.VALUE and path == [_REFERENCED]:
                if event.tag in (_CLASS, _INSTANCE):
                    items[-1][event.tag] = _uid(event, data)
            elif event.what is What.VALUE and not path and event.tag == _TRANSACTION:
                transaction = _uid(event, data)
        if not transaction or not items:
            raise InvalidRequestError("a commitment needs a transaction and references")
        return cls(Uid.parse(transaction), tuple(dict.fromkeys(map(_reference, items))))


def report(
    transaction: Uid,
    retrieve_ae: str,
    committed: Iterable[Reference],
    failed: Iterable[tuple[Reference, int]],
    *,
    explicit: bool,
) -> bytes:
    """Return the Event Information: who is kept, and who is not with its Failure Reason."""
    kept: list[Sequence[Element]] = [_item(one) for one in committed]
    lost: list[Sequence[Element]] = [
        [*_item(one), (_REASON, "US", reason)] for one, reason in failed
    ]
    elements: list[Element] = [
        (_RETRIEVE_AE, "AE", retrieve_ae),
        (_TRANSACTION, "UI", str(transaction)),
    ]
    if lost:
        elements.append((_FAILED, "SQ", lost))
    if kept:
        elements.append((_REFERENCED, "SQ", kept))
    return encode(elements, explicit=explicit)


def _uid(event: Event, data: bytes) -> str:
    return data[event.start : event.start + event.length].decode("latin-1").strip("\0 ")


def _reference(item: dict[int, str]) -> Reference:
    if not (item.get(_CLASS) and item.get(_INSTANCE)):
        raise InvalidRequestError("a reference names no SOP class or no SOP instance")
    return Reference(Uid.parse(item[_CLASS]), Uid.parse(item[_INSTANCE]))


def _item(reference: Reference) -> list[Element]:
    return [
        (_CLASS, "UI", str(reference.sop_class)),
        (_INSTANCE, "UI", str(reference.sop_instance)),
    ]
