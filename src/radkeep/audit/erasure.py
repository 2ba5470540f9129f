# SPDX-License-Identifier: Apache-2.0
"""Erased payloads: what an entry said is gone, that it was there stays provable.

Invariant: a payload is overwritten only after a marker signed by the log's key names it, so
nobody without that key can pass a loss off as an erasure.
"""

import os
import re
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from radkeep.audit.checkpoint import origin
from radkeep.audit.disk import Disk
from radkeep.audit.records import RECORD, Record, segments
from radkeep.audit.recovery import read_checkpoint
from radkeep.crypto.sign import SigningKey, VerifyKey, open_note, sign_note
from radkeep.domain.errors import IntegrityError, NotFoundError

FILE_NAME: Final = "erasures"
_TITLE: Final = "radkeep/erasures/1"
_LINE: Final = re.compile(r"([0-9]{1,18}) ([0-9]{1,18})")


class Erasures:
    """The indices whose payloads were erased, as ranges."""

    __slots__ = ("ranges",)

    def __init__(self, indices: Iterable[int] = ()) -> None:
        self.ranges: list[tuple[int, int]] = []  # first and last, in order
        for index in sorted(set(indices)):
            if self.ranges and self.ranges[-1][1] == index - 1:
                self.ranges[-1] = (self.ranges[-1][0], index)
            else:
                self.ranges.append((index, index))

    def __contains__(self, index: int) -> bool:
        place = bisect_right(self.ranges, (index, 1 << 62)) - 1
        return place >= 0 and index <= self.ranges[place][1]

    def __bool__(self) -> bool:
        return bool(self.ranges)

    @classmethod
    def read(cls, directory: Path, key: VerifyKey) -> Self:
        """Return the marker of ``directory``, an empty one when there is none.

        Raises:
            IntegrityError: the log's key did not sign it.
        """
        try:
            note = (directory / FILE_NAME).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return cls()
        title, *lines = open_note(note, origin(key), key).splitlines()
        matches = [_LINE.fullmatch(line) for line in lines]
        if title != _TITLE:
            raise IntegrityError("an erasure marker is malformed")
        marker = cls()
        for match in matches:
            if match is None:
                raise IntegrityError("an erasure marker is malformed")
            marker.ranges.append((int(match[1]), int(match[2])))
        return marker

    def note(self, key: SigningKey) -> str:
        """Return the signed marker."""
        lines = [f"{first} {last}\n" for first, last in self.ranges]
        return sign_note(key, origin(key.public), f"{_TITLE}\n{''.join(lines)}")


def erase(
    directory: Path, indices: Iterable[int], *, signing: SigningKey, disk: Disk | None = None
) -> None:
    """Erase the payloads of ``indices``, durably. The log may be open for appending meanwhile.

    Raises:
        NotFoundError: the last checkpoint does not cover an index; nothing is erased.
        IntegrityError: checkpoint or marker are not the log's.
        OSError: the disk fails; a second call finishes what the marker names.
    """
    disk = disk or Disk()
    wanted = set(indices)
    checkpoint = read_checkpoint(directory, signing.public)
    if wanted and (checkpoint is None or min(wanted) < 0 or max(wanted) >= checkpoint.size):
        raise NotFoundError("no such entry under the audit log's checkpoint")
    marker = Erasures.read(directory, signing.public)
    known = {index for first, last in marker.ranges for index in range(first, last + 1)}
    marker = Erasures(known | wanted)
    disk.replace(directory / FILE_NAME, marker.note(signing).encode())
    found = list(segments(directory))
    for segment, after in zip(found, [*found[1:], None], strict=True):
        mine = [i for i in wanted if segment.first <= i and (after is None or i < after.first)]
        if not mine:
            continue
        with segment.tree.open("rb") as tree:
            descriptor = disk.open(segment.payloads)
            try:
                for index in sorted(mine):
                    record = Record.decode(
                        os.pread(tree.fileno(), RECORD, segment.record_offset(index))
                    )
                    disk.write(descriptor, bytes(record.length), record.start)
                disk.sync(descriptor)
            finally:
                os.close(descriptor)
