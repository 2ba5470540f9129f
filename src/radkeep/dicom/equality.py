# SPDX-License-Identifier: Apache-2.0
"""Whether two data sets say the same, element by element.

Invariant: encodings may differ (implicit or explicit VR, byte order, deflate, lengths), content
may not. In doubt the answer is no, and it comes within a bounded time.
"""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

from radkeep.dicom.headers import TRAILING_PADDING, coding
from radkeep.dicom.inflate import Inflater
from radkeep.dicom.json_values import width_of
from radkeep.dicom.reader import What, read
from radkeep.dicom.syntaxes import syntax
from radkeep.dicom.words import swapped
from radkeep.domain.errors import UndecodableError

MAX_BYTES: Final = 512 << 20  # of an inflated data set; larger ones are called different
# A step takes about 12 us, and all stores of a process wait for the answer: a data set of a million
# elements, sent again and again with one byte changed, would stop them.
MAX_STEPS: Final = 25_000  # elements, items and their ends; more are called different

Step = tuple[What, int, bytes | memoryview]


def same_elements(
    first: bytes | memoryview,
    first_syntax: str,
    second: bytes | memoryview,
    second_syntax: str,
) -> bool:
    """Tell whether both data sets hold equal elements in equal order.

    Group lengths, trailing padding and a value's own pad byte do not count. Meant for syntaxes
    without encapsulation; encapsulated data is equal only byte for byte.
    """
    try:
        pairs = zip_longest(_steps(first, first_syntax), _steps(second, second_syntax))
        return all(
            count < MAX_STEPS and a is not None and b is not None and _equal(a, b)
            for count, (a, b) in enumerate(pairs)
        )
    except UndecodableError:
        return False


def _equal(a: Step, b: Step) -> bool:
    if a[:2] != b[:2]:
        return False
    left, right = a[2], b[2]
    if abs(len(left) - len(right)) == 1:  # one of them is padded to even length
        left, right = bytes(left), bytes(right)
        shorter, longer = sorted((left, right), key=len)
        return longer[:-1] == shorter and longer[-1:] in (b" ", b"\0")
    return left == right


def _steps(data: bytes | memoryview, uid: str) -> Iterator[Step]:
    encoding = syntax(uid)
    if encoding.deflated:
        data = _inflate(data)
    view = memoryview(data)
    for event in read(view, coding(explicit=encoding.explicit, big=encoding.big)):
        if event.tag == TRAILING_PADDING or (event.tag and not event.tag & 0xFFFF):
            continue
        value: bytes | memoryview = view[event.start : event.start + event.length]
        if encoding.big and event.explicit:
            value = swapped(bytes(value), width_of(event.vr))
        yield event.what, event.tag, value


def _inflate(data: bytes | memoryview) -> bytes:
    inflater, out = Inflater(), bytearray()
    for piece in inflater.take(memoryview(data)):
        out += piece
        if len(out) > MAX_BYTES:
            raise UndecodableError("too large to compare")
    inflater.end()
    return bytes(out)
