# SPDX-License-Identifier: Apache-2.0
"""Medians, spans and ratios of the runs, as Markdown, with floors and goals beside them.

Invariant: a ratio compares runs of the same round only, so that what else the machine did in a
round hits both sides.
"""

import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runs import Run

OURS, OURS_TLS, ORTHANC, DCMTK = "Radkeep", "Radkeep, TLS", "Orthanc", "DCMTK storescp"


@dataclass(frozen=True)
class Bound:
    """A figure with what it must reach (floor) and what we aim at (goal)."""

    name: str
    value: float
    floor: float
    goal: float
    unit: str
    most: bool = False  # the figure must be at most the floor, not at least

    def word(self) -> str:
        """Say how it stands."""
        sign = -1 if self.most else 1
        if sign * self.value >= sign * self.goal:
            return "goal"
        return "floor" if sign * self.value >= sign * self.floor else "**below floor**"


RATES = {
    ("ct", 1): (2.0, 3.0),
    ("ct", 4): (1.5, 3.0),
    ("small", 1): (1.2, 3.0),
    ("small", 4): (1.2, 4.0),
}
TITLES = {"ct": "CT, 525 KB", "small": "small, 8 KB"}


def bounds(runs: Sequence[Run]) -> list[Bound]:
    """Return every figure that has a floor."""
    found = [
        Bound(
            f"rate, {TITLES[kind]}, {associations} assoc., Radkeep / Orthanc",
            statistics.median(_ratios(runs, kind, associations, ORTHANC, lambda run: run.rate)),
            *limits,
            "x",
        )
        for (kind, associations), limits in RATES.items()
        if _of(runs, kind, associations, ORTHANC)
    ]
    found += [
        Bound(
            f"processor time, {TITLES['ct']}, {associations} assoc., Radkeep / Orthanc",
            statistics.median(_ratios(runs, "ct", associations, ORTHANC, lambda run: run.cpu)),
            0.5,
            0.25,
            "x",
            most=True,
        )
        for associations in (1, 4)
        if _of(runs, "ct", associations, ORTHANC)
    ]
    found += [
        Bound(
            f"rate, {TITLES[kind]}, {associations} assoc., Radkeep plain / over TLS",
            statistics.median(_ratios(runs, kind, associations, OURS_TLS, lambda run: run.rate)),
            1 / 0.6,
            1.25,
            "x",
            most=True,
        )
        for kind, associations in RATES
        if _of(runs, kind, associations, OURS_TLS)
    ]
    peak = max(run.pss for run in runs if run.receiver == OURS)
    found.append(Bound("memory at peak, all processes, PSS", peak, 400, 250, " MB", most=True))
    return found


def table(runs: Sequence[Run]) -> str:
    """Return medians with the smallest and largest value of each figure."""
    columns = (
        "instances",
        "assoc.",
        "server",
        "instances/s",
        "MB/s",
        "p50 ms",
        "p99 ms",
        "CPU ms each",
        "peak PSS MB",
        "rate / Orthanc",
        "rate / DCMTK",
    )
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for kind, associations in dict.fromkeys((run.kind, run.associations) for run in runs):
        for name in (OURS, OURS_TLS, ORTHANC, DCMTK):
            chosen = _of(runs, kind, associations, name)
            if not chosen:
                continue
            cells = [
                TITLES[kind],
                str(associations),
                name,
                _span([run.rate for run in chosen], 0),
                _span([run.megabytes for run in chosen], 0),
                _span([run.p50 for run in chosen], 2),
                _span([run.p99 for run in chosen], 2),
                _span([run.cpu for run in chosen], 3),
                _span([run.pss for run in chosen], 0),
            ]
            for other in (ORTHANC, DCMTK):
                ratios = _ratios(runs, kind, associations, other, lambda run: run.rate)
                cells.append(_span(ratios, 2) if name == OURS and ratios else "")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdicts(found: Sequence[Bound]) -> str:
    """Return the figures that have a floor, and how each stands."""
    lines = ["| figure | median | floor | goal | reached |", "|---|---|---|---|---|"]
    for bound in found:
        sign = "at most " if bound.most else ""
        value, floor, goal = (
            f"{number:.0f}" if number >= 100 else f"{number:.2f}"
            for number in (bound.value, bound.floor, bound.goal)
        )
        lines.append(
            f"| {bound.name} | {value}{bound.unit} | {sign}{floor}{bound.unit} "
            f"| {sign}{goal}{bound.unit} | {bound.word()} |"
        )
    return "\n".join(lines)


def machine(folder: Path) -> str:
    """Return what the figures depend on, as a Markdown list."""
    model = _first("/proc/cpuinfo", "model name") or platform.processor()
    memory = int((_first("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 1e6
    mount = _output("findmnt", "-no", "FSTYPE,OPTIONS", "-T", str(folder)) or "unknown"
    orthanc = _output("dpkg-query", "-Wf", "${Version}", "orthanc")
    dcmtk = _output("dpkg-query", "-Wf", "${Version}", "dcmtk")
    now = datetime.now(UTC)  # noqa: TID251 - the date of the report
    return "\n".join(
        (
            f"- {now:%Y-%m-%d %H:%M} UTC; load average at the end {os.getloadavg()[0]:.1f}",
            f"- {os.cpu_count()} x {model}, {memory:.0f} GB",
            f"- {_system()}, kernel {platform.release()}",
            f"- disk: {' '.join(mount.split())}",
            f"- Python {platform.python_version()}; Debian's Orthanc {orthanc}, DCMTK {dcmtk}",
        )
    )


def _of(runs: Sequence[Run], kind: str, associations: int, receiver: str) -> list[Run]:
    wanted = (kind, associations, receiver)
    return [run for run in runs if (run.kind, run.associations, run.receiver) == wanted]


def _ratios(
    runs: Sequence[Run], kind: str, associations: int, other: str, figure: Callable[[Run], float]
) -> list[float]:
    theirs = {run.round: figure(run) for run in _of(runs, kind, associations, other)}
    ours = _of(runs, kind, associations, OURS)
    return [figure(run) / theirs[run.round] for run in ours if theirs.get(run.round)]


def _span(values: Sequence[float], digits: int) -> str:
    """Return the median with the smallest and largest value."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


def _first(path: str, key: str) -> str:
    for each in Path(path).read_text().splitlines():
        if each.startswith(key):
            return each.partition(":")[2].strip()
    return ""


def _system() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())


def _output(*command: str) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    return finished.stdout.strip()
