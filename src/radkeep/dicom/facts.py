# SPDX-License-Identifier: Apache-2.0
"""What the catalog needs to know of an instance.

Invariant: the same head always gives the same facts, so that the catalog can be rebuilt; text is
decoded from the instance's own character set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import msgspec

from radkeep.dicom import levels
from radkeep.dicom.charsets import DEFAULT, Charset, charset
from radkeep.dicom.dictionary import vr_of
from radkeep.dicom.head import InstanceHead
from radkeep.dicom.headers import coding
from radkeep.dicom.json_model import sequence
from radkeep.dicom.json_values import BINARY, NUMBERS, ONE_VALUE, UTF_8, element, numbers, texts
from radkeep.dicom.query import Level
from radkeep.dicom.syntaxes import syntax
from radkeep.dicom.walker import Walker
from radkeep.domain.errors import InvalidUidError, UndecodableError
from radkeep.domain.uid import Uid

_ENCODE: Final = msgspec.json.Encoder().encode
_NAMES: Final = {
    levels.SOP_CLASS: "SOP Class UID (0008,0016)",
    levels.SOP_INSTANCE: "SOP Instance UID (0008,0018)",
    levels.STUDY_UID: "Study Instance UID (0020,000D)",
    levels.SERIES_UID: "Series Instance UID (0020,000E)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The attributes of one instance that can be searched and listed."""

    sop_class: Uid
    sop_instance: Uid
    study: Uid
    series: Uid
    transfer_syntax: str
    raw: Mapping[int, bytes]  # the values of ``levels.WANTED``, as received
    big: bool = False  # binary numbers are big endian

    @classmethod
    def of(cls, raw: Mapping[int, bytes], transfer_syntax: str) -> Self:
        """Return the facts in ``raw``, which maps tags to values as received.

        Raises:
            UndecodableError: one of the four UIDs is missing or empty.
            InvalidUidError: one of them is no UID.
        """
        return cls(
            sop_class=_uid(raw, levels.SOP_CLASS),
            sop_instance=_uid(raw, levels.SOP_INSTANCE),
            study=_uid(raw, levels.STUDY_UID),
            series=_uid(raw, levels.SERIES_UID),
            transfer_syntax=transfer_syntax,
            raw=raw,
            big=syntax(transfer_syntax).big,
        )

    @classmethod
    def from_head(cls, head: InstanceHead) -> Self:
        """Return the facts that the scan gave when ``head`` was made.

        Raises:
            UndecodableError: ``head`` holds no data set that a scan accepts.
        """
        encoding = syntax(head.transfer_syntax)
        walker = Walker(coding(explicit=encoding.explicit, big=encoding.big), levels.WANTED)
        elements, at = memoryview(head.layout.elements), 0
        for place, length, _ in head.layout.cuts:
            if place <= len(elements):
                walker.take(elements[at:place])
                walker.pass_over(length)
                at = place
        walker.take(elements[at:])
        walker.end()
        return cls.of(walker.values(), head.transfer_syntax)

    @property
    def patient_id(self) -> str:
        """Return the Patient ID (0010,0020)."""
        return self.text(levels.PATIENT_ID)

    @property
    def frames(self) -> int:
        """Return the Number of Frames (0028,0008), 1 when absent or nonsense."""
        number = self.integer(levels.NUMBER_OF_FRAMES) or 1
        return number if 1 <= number <= _MAX_FRAMES else 1

    def values(self, tag: int) -> tuple[str, ...]:
        """Return the decoded values of an attribute of ``levels.WANTED``, without padding."""
        raw, vr = self.raw.get(tag, b""), vr_of(tag)
        if not raw or vr in BINARY or vr == "SQ":
            return ()
        if vr in NUMBERS:
            return tuple(str(number) for number in numbers(vr, raw, big=self.big))
        return tuple(texts(vr, raw, self._charset))

    def text(self, tag: int) -> str:
        """Return the decoded value of an attribute, several values joined by backslashes."""
        return "\\".join(self.values(tag)) if vr_of(tag) not in ONE_VALUE else self._one(tag)

    def integer(self, tag: int) -> int | None:
        """Return the first value as an integer, None when it is none."""
        raw = self.raw.get(tag)
        if not raw:
            return None
        if len(raw) == _SHORT and vr_of(tag) == "US":  # most are: no need to decode text
            return int.from_bytes(raw, "big" if self.big else "little")
        first = self.values(tag)[:1]
        try:
            return int(first[0]) if first and len(first[0]) <= _MAX_DIGITS else None
        except ValueError:
            return None

    def json(self, level: Level) -> bytes:
        """Return the JSON object of the attributes of ``level`` that the instance has."""
        charset, found = self._charset, {}
        if charset is not DEFAULT:
            found["00080005"] = UTF_8
        for tag in levels.BY_LEVEL[level]:
            raw, vr = self.raw.get(tag), vr_of(tag)
            if raw is None:
                continue
            if vr == "SQ":
                encoding = syntax(self.transfer_syntax)
                used = coding(explicit=encoding.explicit, big=encoding.big)
                found[f"{tag:08X}"] = sequence(tag, raw, used, charset)
            else:
                found[f"{tag:08X}"] = element(vr, raw, charset, big=self.big)
        return _ENCODE(found)

    @property
    def _charset(self) -> Charset:
        raw = self.raw.get(levels.SPECIFIC_CHARACTER_SET)
        return charset(raw) if raw else DEFAULT

    def _one(self, tag: int) -> str:
        found = self.values(tag)
        return found[0] if found else ""


_MAX_DIGITS: Final = 20
_SHORT: Final = 2  # bytes of VR US
_MAX_FRAMES: Final = (1 << 31) - 1  # IS


def _uid(raw: Mapping[int, bytes], tag: int) -> Uid:
    value = raw.get(tag, b"")
    if not value:
        raise UndecodableError(f"the data set has no {_NAMES[tag]}")
    try:
        return Uid.parse(value.decode("latin_1"))
    except InvalidUidError:
        raise InvalidUidError(f"the {_NAMES[tag]} is not a valid UID") from None
