# SPDX-License-Identifier: Apache-2.0
"""Text in every character set of DICOM (PS3.3 Section C.12.1.1.2, PS3.5 Section 6.1.2).

Invariant: any bytes give text. What a character set cannot say becomes U+FFFD, never an error.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_DEFAULT: Final = "latin_1"  # ISO_IR 6 says ASCII; real files without a charset say more

# PS3.3 Tables C.12-2 to C.12-5. Keys without blanks, dashes and underscores: writers vary them.
_CODECS: Final = {
    "": _DEFAULT,
    "ISOIR6": _DEFAULT,
    "ISOIR13": "shift_jis",
    "ISOIR100": "latin_1",
    "ISOIR101": "iso8859_2",
    "ISOIR109": "iso8859_3",
    "ISOIR110": "iso8859_4",
    "ISOIR126": "iso8859_7",
    "ISOIR127": "iso8859_6",
    "ISOIR138": "iso8859_8",
    "ISOIR144": "iso8859_5",
    "ISOIR148": "iso8859_9",
    "ISOIR166": "tis_620",
    "ISOIR203": "iso8859_15",
    "ISOIR192": "utf_8",
    "GB18030": "gb18030",
    "GBK": "gbk",
    "ISO2022IR6": _DEFAULT,
    "ISO2022IR13": "shift_jis",
    "ISO2022IR87": "iso2022_jp",
    "ISO2022IR100": "latin_1",
    "ISO2022IR101": "iso8859_2",
    "ISO2022IR109": "iso8859_3",
    "ISO2022IR110": "iso8859_4",
    "ISO2022IR126": "iso8859_7",
    "ISO2022IR127": "iso8859_6",
    "ISO2022IR138": "iso8859_8",
    "ISO2022IR144": "iso8859_5",
    "ISO2022IR148": "iso8859_9",
    "ISO2022IR149": "euc_kr",
    "ISO2022IR159": "iso2022_jp_2",
    "ISO2022IR166": "tis_620",
    "ISO2022IR203": "iso8859_15",
    "ISO2022IR58": "gb2312",
    "ISO202258": "gb2312",
    "ISO2022GBK": "gbk",
}
_ALONE: Final = frozenset({"utf_8", "gb18030", "gbk"})  # no code extensions, PS3.5 6.1.2.5.4

# Escape sequence after ESC -> codec and whether it designates two-byte G0, where a delimiter
# byte may be half a character (PS3.3 Tables C.12-3 and C.12-4).
_ESCAPES: Final = {
    b"(B": (_DEFAULT, False),
    b"-A": ("latin_1", False),
    b"(J": ("shift_jis", False),
    b")I": ("shift_jis", False),
    b"-B": ("iso8859_2", False),
    b"-C": ("iso8859_3", False),
    b"-D": ("iso8859_4", False),
    b"-F": ("iso8859_7", False),
    b"-G": ("iso8859_6", False),
    b"-H": ("iso8859_8", False),
    b"-L": ("iso8859_5", False),
    b"-M": ("iso8859_9", False),
    b"-T": ("tis_620", False),
    b"-b": ("iso8859_15", False),
    b"$)C": ("euc_kr", False),
    b"$)A": ("gb2312", False),
    b"$B": ("iso2022_jp", True),
    b"$@": ("iso2022_jp", True),
    b"$(D": ("iso2022_jp_2", True),
}
_PARTS: Final = re.compile(rb"(?:\A|\x1b)[^\x1b]+|\x1b")
_ESCAPE: Final = re.compile(rb"\x1b(\$[()]?.|[()\-].)", re.DOTALL)
_RESETS: Final = re.compile(rb"[\t\n\f\r\\]")  # PS3.5 Section 6.1.2.5.3
_RESETS_IN_NAMES: Final = re.compile(rb"[\t\n\f\r\\^=]")


class Charset:
    """The character sets of one data set or item."""

    __slots__ = ("_first", "_plain")

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._first: Final = _codec(names[0] if names else "")
        self._plain: Final = self._first in _ALONE  # escape sequences mean nothing

    def decode(self, raw: bytes, *, name: bool = False) -> str:
        """Return the text of ``raw``, delimiters included.

        Args:
            raw: the value as received.
            name: whether it is a person name, where ``^`` and ``=`` end a code extension too.
        """
        if self._plain or b"\x1b" not in raw:
            return raw.decode(self._first, "replace")
        resets = _RESETS_IN_NAMES if name else _RESETS
        return "".join(self._part(part, resets) for part in _PARTS.findall(raw))

    def _part(self, part: bytes, resets: re.Pattern[bytes]) -> str:
        escape = _ESCAPE.match(part)
        known = _ESCAPES.get(escape.group(1)) if escape else None
        if escape is None or known is None:
            return part.decode(self._first, "replace")
        codec, two_byte_g0 = known
        if two_byte_g0:
            return part.decode(codec, "replace")
        rest = part[escape.end() :]
        reset = resets.search(rest)
        cut = reset.start() if reset else len(rest)
        return rest[:cut].decode(codec, "replace") + rest[cut:].decode(self._first, "replace")


def _codec(name: str) -> str:
    return _CODECS.get(re.sub(r"[\s_\-]", "", name.upper()), _DEFAULT)


def writes(name: str) -> str | None:
    """Return the codec that writes text in the one character set ``name``; None if we do not.

    Those with code extensions are read only: UTF-8 says all that they say (PS3.5 Section 6.1.2).
    """
    known = re.sub(r"[\s_\-]", "", name.upper())
    codec = _CODECS.get(known)
    return None if codec is None or known.startswith("ISO2022") or codec == "shift_jis" else codec


DEFAULT: Final = Charset()


@lru_cache(maxsize=256)
def charset(raw: bytes) -> Charset:
    """Return the character sets that a Specific Character Set (0008,0005) value names."""
    text = raw.decode("ascii", "replace")
    return Charset([part.strip(" \0") for part in text.split("\\")])
