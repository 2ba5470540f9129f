# SPDX-License-Identifier: Apache-2.0
"""Where a value lies that the JSON model names by address.

Invariant: a path names a value of the data set by tags and item numbers and nothing else:
``TAG`` or ``TAG/ITEM/TAG`` with any number of steps, items counted from 1.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from radkeep.dicom.head import InstanceHead, Span
from radkeep.dicom.headers import coding
from radkeep.dicom.reader import What, fragments, read
from radkeep.dicom.syntaxes import syntax
from radkeep.domain.errors import NotFoundError
from radkeep.domain.limits import MAX_NESTING

_STEP: Final = r"[0-9A-F]{8}"
_PATH: Final = re.compile(rf"{_STEP}(?:/[1-9][0-9]{{0,8}}/{_STEP}){{0,{MAX_NESTING}}}")


def locate(head: InstanceHead, path: str) -> Sequence[Span]:
    """Return where the value at ``path`` lies; encapsulated data without item headers.

    Raises:
        NotFoundError: ``path`` is malformed or names no value of this instance.
    """
    wanted = path.upper()
    if not _PATH.fullmatch(wanted):
        raise NotFoundError("no such value")
    pixel = head.pixel
    if pixel is not None and wanted == f"{pixel.tag:08X}":
        if not pixel.encapsulated:
            return [(pixel.offset, pixel.offset + pixel.length)]
        return pixel.fragment_spans()[1:]
    for parts_at, data, cuts in _parts(head):
        for found, spans in _values(head, data, cuts, parts_at):
            if found == wanted:
                return spans
    raise NotFoundError("no such value")


def _parts(head: InstanceHead) -> Iterator[tuple[int, bytes, Mapping[int, int]]]:
    """Yield position, bytes and cuts of what lies before and behind Pixel Data."""
    border = len(head.layout.elements)
    base = 0 if head.deflated else head.data_set_offset
    yield base, head.layout.elements, {at: long for at, long, _ in head.layout.cuts if at <= border}
    if head.pixel is not None:
        behind = head.pixel.offset + head.pixel.length
        yield (
            behind,
            head.layout.tail,
            {at - border: long for at, long, _ in head.layout.cuts if at > border},
        )


def _values(
    head: InstanceHead, data: bytes, cuts: Mapping[int, int], base: int
) -> Iterator[tuple[str, list[Span]]]:
    encoding = syntax(head.transfer_syntax)
    used = coding(explicit=encoding.explicit, big=encoding.big)
    paths, sequence, counts = [""], 0, [0]
    sequences: list[int] = []
    for event in read(data, used, cuts):
        where = base + event.where
        if event.what is What.VALUE:
            yield f"{paths[-1]}{event.tag:08X}", [(where, where + event.length)]
        elif event.what is What.FRAGMENTS:
            found = list(fragments(data, used, event.start, cuts))[1:-1]
            spans = [(where + start, where + start + length) for start, length in found]
            yield f"{paths[-1]}{event.tag:08X}", spans
        elif event.what is What.OPEN:
            sequences.append(event.tag)
            counts.append(0)
        elif event.what is What.CLOSE:
            sequences.pop()
            counts.pop()
        elif event.what is What.ITEM:
            counts[-1] += 1
            sequence = sequences[-1]
            paths.append(f"{paths[-1]}{sequence:08X}/{counts[-1]}/")
        else:
            paths.pop()
