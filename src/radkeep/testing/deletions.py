# SPDX-License-Identifier: Apache-2.0
"""The registry's deletions in memory.

Invariant: it keeps the contract of the port; ``tests/contract`` compares it with the real one.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from radkeep.domain.uid import Uid
from radkeep.retrieval.ports import Deletion, HiddenChange


class MemoryDeletions:
    """Satisfies ``retrieval.ports.DeletionStore``."""

    def __init__(self) -> None:
        self._rows: dict[int, Deletion] = {}
        self._named: dict[int, Sequence[Uid]] = {}
        self._changed: dict[int, int] = {}

    def version(self) -> int:
        """Return a number that grows with every change."""
        return max(self._changed.values(), default=0)

    def changes(self, since: int) -> tuple[int, Sequence[HiddenChange]]:
        """Return the version, and what changed after ``since``."""
        hidden = {
            (row.organization, uid)
            for row in self._rows.values()
            if row.undone is None
            for uid in self._named[row.id]
        }
        concerned = {
            (row.organization, uid)
            for row in self._rows.values()
            if self._changed[row.id] > since
            for uid in self._named[row.id]
        }
        return self.version(), [(*name, name in hidden) for name in concerned]

    def add(self, deletion: Deletion, instances: Sequence[Uid]) -> Deletion:
        """Keep a deletion of ``instances`` and return it with its id."""
        made = replace(deletion, id=len(self._rows) + 1)
        self._changed[made.id] = self.version() + 1
        self._rows[made.id], self._named[made.id] = made, list(instances)
        return made

    def undo(self, deletion: Deletion, *, at: datetime, by: str) -> bool:
        """Mark as undone; False if it is already."""
        known = self.one(deletion.organization, deletion.id)
        if known is None or known.undone is not None:
            return False
        self._rows[known.id] = replace(known, undone=at, undone_by=by)
        self._changed[known.id] = self.version() + 1
        return True

    def one(self, organization: str, number: int) -> Deletion | None:
        """Return the deletion with this id, if it is of ``organization``."""
        row = self._rows.get(number)
        return row if row is not None and row.organization == organization else None

    def of(self, organization: str, *, before: int | None, limit: int) -> Sequence[Deletion]:
        """Return deletions of ``organization``, the latest first, with ids below ``before``."""
        rows = [
            row
            for row in self._rows.values()
            if row.organization == organization and (before is None or row.id < before)
        ]
        return sorted(rows, key=lambda row: -row.id)[:limit]
