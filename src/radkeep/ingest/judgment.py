# SPDX-License-Identifier: Apache-2.0
"""The verdict on an instance whose SOP Instance UID is taken by other bytes.

Invariant: the same two records always get the same verdict, so that a rebuild repeats it.
"""

from collections.abc import Iterator
from typing import Final, Protocol

from radkeep.dicom.equality import same_elements
from radkeep.dicom.head import InstanceHead
from radkeep.dicom.syntaxes import syntax
from radkeep.domain.placement import Placement
from radkeep.ingest.ports import Arrival, Clash, Verdict

MAX_COMPARED_BYTES: Final = 64 << 20  # of each data set; larger ones that differ are a conflict


class Records(Protocol):
    """Reads back what is durable."""

    def head(self, placement: Placement) -> bytes:
        """Return the head of a record."""
        ...

    def body(self, placement: Placement, start: int, stop: int) -> Iterator[bytes]:
        """Yield bytes ``start`` to ``stop`` of what was received."""
        ...


class Judge:
    """Compares two durable records element by element."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def __call__(self, clash: Clash, arrival: Arrival) -> Verdict:
        """Return SAME when both syntaxes are uncompressed and every element is equal.

        Raises:
            IntegrityError: one of the records cannot be read back.
        """
        new = arrival.facts.transfer_syntax
        lengths = (clash.data_set_length, arrival.data_set_length)
        compressed = syntax(new).encapsulated or syntax(clash.transfer_syntax).encapsulated
        if compressed or max(lengths) > MAX_COMPARED_BYTES:
            return Verdict.CONFLICT
        same = same_elements(
            self._data_set(arrival.placement),
            new,
            self._data_set(clash.original),
            clash.transfer_syntax,
        )
        return Verdict.SAME if same else Verdict.CONFLICT

    def _data_set(self, placement: Placement) -> bytes:
        head = InstanceHead.decode(self._records.head(placement))
        start = head.data_set_offset
        return b"".join(self._records.body(placement, start, start + head.data_set_length))
