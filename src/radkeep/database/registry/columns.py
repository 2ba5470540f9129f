# SPDX-License-Identifier: Apache-2.0
"""How values of the registry stand in its columns.

Invariant: writing and reading are inverse; a set of words has one spelling.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, overload

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@overload
def stamp(time: datetime) -> int: ...
@overload
def stamp(time: None) -> None: ...
def stamp(time: datetime | None) -> int | None:
    """Return ``time`` in microseconds since 1970, exactly."""
    return None if time is None else (time - _EPOCH) // _MICROSECOND


def time(number: int) -> datetime:
    """Return the time of ``stamp``."""
    return _EPOCH + timedelta(microseconds=number)


def time_or_none(number: int | None) -> datetime | None:
    """Return the time of ``stamp``, or None for NULL."""
    return None if number is None else time(number)


def words(values: Iterable[object]) -> str:
    """Return a set as words between spaces."""
    return " ".join(sorted(map(str, values)))
