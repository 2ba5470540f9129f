# SPDX-License-Identifier: Apache-2.0
"""Range of one representation (RFC 9110 Section 14).

Invariant: any header gives a window within the representation, nothing, or
RangeNotSatisfiableError; a header that is malformed, or asks for several ranges, is ignored as the
RFC allows, and the whole is sent.
"""

import re
from typing import Final

from radkeep.domain.errors import Kind, RadkeepError
from radkeep.web.kit.requests import Incoming

_RANGE: Final = re.compile(r"bytes=[ \t]*(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))[ \t]*")


class RangeNotSatisfiableError(RadkeepError):
    """The range begins behind the end of what is there."""

    kind, code = Kind.INVALID, "range-not-satisfiable"

    def __init__(self, message: str, *, length: int = 0) -> None:
        super().__init__(message)
        self.length = length  # bytes of the whole


def window_of(request: Incoming, length: int) -> tuple[int, int] | None:
    """Return start and stop of what is asked for of ``length`` bytes; None for the whole.

    Raises:
        RangeNotSatisfiableError: nothing of it is there.
    """
    if request.method != "GET" or "if-range" in request.headers:
        return None  # no body has a validator, so none can match (Section 13.1.5)
    raw = ",".join(request.headers.getlist("range"))
    found = _RANGE.fullmatch(raw) if raw else None
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        start, stop = max(0, length - int(suffix)), length
    else:
        start = int(first)
        stop = min(length, int(last) + 1) if last is not None else length
        if last is not None and int(last) < start:
            return None  # malformed (Section 14.1.1)
    if start >= stop:
        raise RangeNotSatisfiableError("the range begins behind the end", length=length)
    return start, stop
