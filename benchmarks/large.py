# SPDX-License-Identifier: Apache-2.0
"""C-STORE of multi-frame instances of 52 MB into Radkeep and Orthanc, in turn on one machine.

    python benchmarks/large.py [--rounds 3] [--instances 8] [--folder build/benchmarks]
                               [--output docs/benchmarks.md]

prints a line for each run, then the figures. Memory is what the burst takes: the highest
proportional set size of all processes, less that of the idle server before. Ends with status 1
when a figure is below its floor.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from receivers import CALLING, Radkeep, Start, orthanc
from report import ORTHANC, OURS, Bound, machine, verdicts
from usage import Watch, pss_bytes

_HERE = Path(__file__).parent
_MARK = "<!-- below: written by benchmarks/large.py -->\n"
_END = "<!-- end of benchmarks/large.py -->\n"
_SETTLE = 1.0  # seconds until a server that has just started is idle


@dataclass(frozen=True)
class Burst:
    """One run."""

    receiver: str
    round: int
    rate: float  # megabytes a second
    slowest: float  # milliseconds, the 99th percentile: of so few the longest
    memory: float  # megabytes beyond idle, at peak


def measure(name: str, start: Start, data: Path, folder: Path, number: int) -> Burst:
    """Send all of ``data`` to a fresh server; what it stored is gone afterwards."""
    place = folder / "run"
    place.mkdir()
    os.sync()
    try:
        with start(place) as receiver:
            threading.Event().wait(_SETTLE)
            idle = pss_bytes(receiver.pid)
            with Watch(receiver.pid) as watch:
                done = subprocess.run(
                    [sys.executable, _HERE / "rawsend.py", str(receiver.port), data,
                     "--calling", CALLING],
                    stdout=subprocess.PIPE, text=True, timeout=300, check=True,
                )  # fmt: skip
            figures = json.loads(done.stdout)
    finally:
        shutil.rmtree(place)
        os.sync()
    if set(figures["statuses"]) != {"0000"}:
        raise RuntimeError(f"{name}: {figures['statuses']}")
    rate = figures["bytes"] / figures["wall"] / 1e6
    return Burst(name, number, rate, figures["p99_ms"], (watch.peak - idle) / 1e6)


def bounds(bursts: Sequence[Burst]) -> list[Bound]:
    """Return the figures that have a floor."""
    ours, theirs = ([b for b in bursts if b.receiver == name] for name in (OURS, ORTHANC))
    ratio = statistics.median(a.rate / b.rate for a, b in zip(ours, theirs, strict=True))
    memory = max(burst.memory for burst in ours)
    return [
        Bound("rate, multi-frame, 52 MB, 1 assoc., Radkeep / Orthanc", ratio, 1.5, 3.0, "x"),
        Bound("memory that a 52 MB instance takes", memory, 128, 64, " MB", most=True),
    ]


def table(bursts: Sequence[Burst]) -> str:
    """Return medians, with the smallest and largest in brackets."""
    lines = [
        "| receiver | MB/s | slowest answer, ms | memory beyond idle, MB |",
        "|---|---|---|---|",
    ]
    for name in (OURS, ORTHANC):
        own = [burst for burst in bursts if burst.receiver == name]
        cells = []
        for values in ([b.rate for b in own], [b.slowest for b in own], [b.memory for b in own]):
            middle = statistics.median(values)
            cells.append(f"{middle:,.0f} ({min(values):,.0f} to {max(values):,.0f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--instances", type=int, default=8)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--output", type=Path, default=None, help="docs/benchmarks.md")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        place = Path(folder)
        counts = ["--ct", "0", "--small", "0", "--multiframe", str(options.instances)]
        subprocess.run([sys.executable, _HERE / "generate.py", place / "data", *counts], check=True)
        receivers: Mapping[str, Start] = {
            OURS: Radkeep(place / "founded"),
            ORTHANC: orthanc,
        }
        bursts: list[Burst] = []
        for number in range(options.rounds):
            names = list(receivers)[:: 1 if number % 2 else -1]
            for name in names:
                bursts.append(
                    measure(name, receivers[name], place / "data" / "multiframe", place, number)
                )
                print(json.dumps(asdict(bursts[-1])), flush=True)
        facts = machine(place)
    found = bounds(bursts)
    how = f"{facts}\n- {options.rounds} rounds of {options.instances} instances"
    text = "\n\n".join([how, verdicts(found), table(bursts)])
    print("\n" + text)
    if options.output:
        _write(options.output, text)
    return 1 if any("below" in bound.word() for bound in found) else 0


def _write(page: Path, text: str) -> None:
    """Put ``text`` between its marks, which the page must have."""
    before, mark, rest = page.read_text().partition(_MARK)
    _, end, after = rest.partition(_END)
    if not mark or not end:
        raise ValueError(f"{page.name} has no place for these figures")
    page.write_text(f"{before}{_MARK}\n{text}\n\n{_END}{after}")


if __name__ == "__main__":
    raise SystemExit(main())
