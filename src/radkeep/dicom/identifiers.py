# SPDX-License-Identifier: Apache-2.0
"""Identifiers of query and retrieve, both ways (PS3.4 Section C.2.2).

Invariant: any bytes give keys or ``UndecodableError``; the text of a key is decoded from the
identifier's own character set, that of an answer is in it or in UTF-8, and says so if not ASCII.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from radkeep.dicom.charsets import DEFAULT, Charset, charset, writes
from radkeep.dicom.dictionary import vr_of
from radkeep.dicom.encode import Element, encode
from radkeep.dicom.headers import coding
from radkeep.dicom.json_values import BINARY, CODED, NUMBERS, numbers, texts
from radkeep.dicom.levels import SPECIFIC_CHARACTER_SET
from radkeep.dicom.reader import Event, What, read
from radkeep.dicom.syntaxes import syntax
from radkeep.domain.errors import UndecodableError

MAX_KEYS: Final = 512  # in one identifier, those in sequences too
_UTF_8: Final[Element] = (SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192")
_CHARSET: Final = f"{SPECIFIC_CHARACTER_SET:08X}"
_MAX_TEXT: Final = 65_534  # bytes of a value; a longer one is left empty
_WIDEST: Final = 4  # bytes of a character in UTF-8
_MAX_DECIMAL: Final = 16  # bytes of a DS

Tags = Mapping[int, "Tags"]  # attributes, and of sequences those of their items
Path = tuple[int, ...]  # tags from the outermost sequence to the attribute


def keys(data: bytes, transfer_syntax: str) -> dict[Path, str | None]:
    """Return the keys of an identifier: the text of each, None for what no text can match.

    The character set of the identifier is among them. A sequence stands by itself as an empty key,
    besides the keys in its items.

    Raises:
        UndecodableError: not a data set, or too many keys.
    """
    encoding = syntax(transfer_syntax)
    found: dict[Path, str | None] = {}
    path: list[int] = []
    charsets: list[Charset] = [DEFAULT]
    for event in read(data, coding(explicit=encoding.explicit, big=encoding.big)):
        if event.what is What.OPEN:
            path.append(event.tag)
            found[tuple(path)] = ""
        elif event.what is What.CLOSE:
            path.pop()
        elif event.what is What.ITEM:
            charsets.append(charsets[-1])
        elif event.what is What.END:
            charsets.pop()
        elif event.tag == SPECIFIC_CHARACTER_SET:
            raw = data[event.start : event.start + event.length]
            charsets[-1] = charset(raw)
            if not path:
                found[SPECIFIC_CHARACTER_SET,] = raw.decode("ascii", "replace").strip(" \0")
        elif event.tag & 0xFFFF:  # no group lengths
            found[*path, event.tag] = _text(event, data, charsets[-1], big=encoding.big)
        if len(found) > MAX_KEYS:
            raise UndecodableError("the identifier has too many keys")
    return found


def _text(event: Event, data: bytes, used: Charset, *, big: bool) -> str | None:
    raw = data[event.start : event.start + event.length]
    vr = vr_of(event.tag) if event.vr == "UN" else event.vr
    if not raw or (vr not in NUMBERS and not raw.strip(b" \0")):
        return ""
    if event.what is What.FRAGMENTS or vr in BINARY or vr in ("AT", "SQ"):
        return None
    if vr in NUMBERS:
        return "\\".join(map(str, numbers(vr, raw, big=big)))
    return "\\".join(texts(vr, raw, used))


def answer(
    row: Mapping[str, Any],
    asked: Mapping[int, Tags],
    fixed: Iterable[Element],
    *,
    explicit: bool,
    charset: str = "",
) -> bytes:
    """Return the identifier of a response.

    Args:
        row: the DICOM JSON object that was found.
        asked: the attributes to return, empty if the row does not have them; of the items of a
            sequence those that are named, all if none is.
        fixed: further elements.
        explicit: whether to write explicit VR little endian, else implicit.
        charset: the peer's own character set, used if it can say the text; else UTF-8 is.
    """
    elements = [
        *fixed,
        *(_element(tag, row.get(f"{tag:08X}", {}), below) for tag, below in asked.items()),
    ]
    if all(map(_ascii, elements)):
        return encode(elements, explicit=explicit)
    codec = writes(charset) if charset else None
    if codec is not None:
        named: Element = (SPECIFIC_CHARACTER_SET, "CS", charset)
        try:
            return encode([*elements, named], explicit=explicit, codec=codec)
        except UnicodeEncodeError:
            pass  # UTF-8 can
    return encode([*elements, _UTF_8], explicit=explicit)


def _element(tag: int, found: Mapping[str, Any], below: Tags) -> Element:
    vr = found.get("vr") or vr_of(tag)
    values = found.get("Value", [])
    if vr in BINARY:
        return tag, vr, b""
    if vr == "SQ":
        return tag, vr, [_item(item, below) for item in values]
    if vr in NUMBERS:
        return tag, vr, [value for value in values if isinstance(value, (int, float))]
    if vr == "AT":  # tags, eight digits each in JSON (PS3.18 Section F.2.3)
        return tag, vr, [int(str(value), 16) for value in values if value]
    text = "\\".join(_texts(values))
    if vr not in CODED:  # such a value may only be ASCII, and senders write what they like
        text = text.encode("ascii", "replace").decode("ascii")
    return tag, vr, text if len(text) * _WIDEST <= _MAX_TEXT else ""


def _item(item: Mapping[str, Any], asked: Tags) -> list[Element]:
    """Return an item with what is asked of it, whole if nothing is."""
    tags = asked or {int(name, 16): {} for name in item if name != _CHARSET}
    return [_element(tag, item.get(f"{tag:08X}", {}), below) for tag, below in tags.items()]


def _texts(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping):
            groups = (value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic"))
            yield "=".join(groups).rstrip("=")
        elif isinstance(value, float):
            text = repr(value)
            yield text if len(text) <= _MAX_DECIMAL else f"{value:.10g}"
        else:
            yield "" if value is None else str(value)


def _ascii(element: Element) -> bool:
    value: Any = element[2]
    if element[1] == "SQ":
        return all(_ascii(inner) for item in value for inner in item)
    return not isinstance(value, str) or value.isascii()
