# SPDX-License-Identifier: Apache-2.0
"""Reads what comes before the data set in a DICOM file (PS3.10 Section 7).

Invariant: at most ``MAX_META_BYTES`` are looked at. The preamble means nothing to us, whatever it
holds; it may be missing, the file meta information may not.
"""

from typing import Final

from radkeep.dicom.headers import EXPLICIT_LITTLE, FORMS, SHORT
from radkeep.dicom.syntaxes import syntax
from radkeep.domain.errors import UndecodableError
from radkeep.domain.uid import Uid

MAX_META_BYTES: Final = 64 << 10
_MAX_ELEMENTS: Final = 128  # real files have about ten
_PREAMBLE: Final = 128
_MAGIC: Final = b"DICM"
_GROUP: Final = b"\2\0"
_GROUP_LENGTH: Final = b"\0\0"
_TRANSFER_SYNTAX: Final = b"\x10\0"


class MetaReader:
    """Collects the beginning of a file until the data set begins."""

    def __init__(self) -> None:
        self.held: Final = bytearray()
        self.offset = 0  # of the data set, once known
        self.transfer_syntax = ""
        self._need = _PREAMBLE + 4  # bytes before it is worth looking

    def take(self, data: memoryview, *, last: bool = False) -> bool:
        """Take more of the file; True once the data set's place and syntax are known.

        Raises:
            UndecodableError: no file meta information, or it is broken.
        """
        self.held.extend(data)
        if len(self.held) < self._need and not last:
            return False
        offset = self._read(last=last)
        if offset < 0:
            if last or len(self.held) > MAX_META_BYTES + _PREAMBLE:
                raise UndecodableError("the file meta information is not complete")
            return False
        if not self.transfer_syntax:
            raise UndecodableError("the file meta information names no transfer syntax")
        self.offset = offset
        return True

    def _read(self, *, last: bool) -> int:
        """Return where the data set begins; -1, with ``_need`` set, when bytes lack."""
        pos, declared = self._start(), -1
        if pos < 0:
            return -1
        for _ in range(_MAX_ELEMENTS):
            if pos == declared and syntax(self.transfer_syntax).deflated:
                return pos  # deflated bytes may look like anything
            if last and pos == len(self.held):
                return pos
            if not self._has(pos + 8):
                return -1
            if self.held[pos : pos + 2] != _GROUP:
                return pos
            at, length = self._value(pos)
            if at < 0 or not self._has(at + length):
                return -1
            element, value = self.held[pos + 2 : pos + 4], bytes(self.held[at : at + length])
            pos = at + length
            if element == _GROUP_LENGTH:
                declared = pos + int.from_bytes(value, "little")
            elif element == _TRANSFER_SYNTAX:
                self.transfer_syntax = Uid.parse(value.decode("latin_1"))
        raise UndecodableError("the file meta information has too many elements")

    def _value(self, pos: int) -> tuple[int, int]:
        """Return place and length of the value of the element at ``pos``; -1 when bytes lack."""
        *_, vr, length = EXPLICIT_LITTLE.header(self.held, pos)
        form, at = FORMS.get(vr), pos + 8
        if form is None:
            raise UndecodableError("the file meta information is not explicit VR")
        if form != SHORT:
            if not self._has(at + 4):
                return -1, 0
            (length,) = EXPLICIT_LITTLE.long(self.held, at)
            at += 4
        if length > MAX_META_BYTES:
            raise UndecodableError("the file meta information has too long a value")
        return at, length

    def _has(self, need: int) -> bool:
        self._need = max(need, self._need)
        return len(self.held) >= need

    def _start(self) -> int:
        """Return where group 2 begins: after preamble and prefix, after the prefix, or at once.

        Returns -1 when too few bytes came to tell.
        """
        held = self.held
        if len(held) >= _PREAMBLE + 4 and held[_PREAMBLE : _PREAMBLE + 4] == _MAGIC:
            return _PREAMBLE + 4
        if held[:4] == _MAGIC:
            return 4
        if len(held) < _PREAMBLE + 4:
            return -1
        if held[:2] != _GROUP:
            raise UndecodableError("this is not a DICOM file: no file meta information")
        return 0
