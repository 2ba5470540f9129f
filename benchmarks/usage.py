# SPDX-License-Identifier: Apache-2.0
"""What a server costs: processor time and memory of all its processes together, from /proc.

Invariant: everything that descends from the server's first process counts, also what has ended.
"""

import os
import threading
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")
_PERIOD = 0.2  # seconds between two looks at the memory


def tree(root: int) -> list[int]:
    """Return ``root`` and all its living descendants."""
    found = [root]
    for process in found:
        try:
            tasks = list(Path(f"/proc/{process}/task").iterdir())
            children = [
                child for task in tasks for child in (task / "children").read_text().split()
            ]
        except OSError:  # ended meanwhile
            continue
        found += map(int, children)
    return found


def cpu_seconds(root: int) -> float:
    """Return user and system seconds of ``root`` and all that descends from it."""
    total = 0
    for process in tree(root):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))  # utime, stime, and those of children waited for
    return total / _TICKS


def pss_bytes(root: int) -> int:
    """Return the proportional set size of the whole tree: shared pages count once."""
    total = 0
    for process in tree(root):
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total * 1024


class Watch:
    """Looks at the memory of a tree every 0.2 s while its block runs."""

    def __init__(self, root: int) -> None:
        self.peak = 0  # bytes
        self._root = root
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.peak = max(self.peak, pss_bytes(self._root))
            if self._done.wait(_PERIOD):
                return
