# SPDX-License-Identifier: Apache-2.0
"""C-STORE into Radkeep, Orthanc and DCMTK's storescp, in turn on one machine, on its disk.

    python benchmarks/ingest.py [--rounds 5] [--ct 600] [--small 1500] [--only ct] [--alone]
                                [--folder build/benchmarks] [--output docs/benchmarks.md]

prints a line for each run, then the tables, and puts them at the end of ``--output``. It ends with
status 1 when a figure is below its floor. Needs about 2 GB in ``--folder``, which is empty again
afterwards.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from receivers import Radkeep, Start, dcmtk, orthanc
from report import DCMTK, ORTHANC, OURS, OURS_TLS, bounds, machine, table, verdicts
from runs import Cell, Run, line, rounds

_GENERATE = Path(__file__).with_name("generate.py")
_MARK = "<!-- below: written by benchmarks/ingest.py -->\n"


def main() -> int:
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    cells = [
        Cell(kind, count, associations)
        for kind, count in (("ct", options.ct), ("small", options.small))
        for associations in (1, 4)
        if options.only in ("", kind)
    ]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        place = Path(folder)
        counts = ["--ct", str(options.ct), "--small", str(options.small), "--multiframe", "0"]
        subprocess.run([sys.executable, _GENERATE, place / "data", *counts], check=True)
        receivers: dict[str, Start] = {
            OURS: Radkeep(place / "founded"),
            OURS_TLS: Radkeep(place / "founded-tls", tls=True),
        }
        if not options.alone:
            receivers |= {ORTHANC: orthanc, DCMTK: dcmtk}
        runs: list[Run] = []
        for run in rounds(options.rounds, cells, receivers, place / "data", place):
            runs.append(run)
            print(line(run), flush=True)
        facts = machine(place)
    if options.alone:
        print(verdicts(bounds(runs)))
        print(table(runs))
        return 0
    minutes = (time.monotonic() - started) / 60
    return _tell(options, runs, facts, minutes)


def _tell(options: argparse.Namespace, runs: Sequence[Run], facts: str, minutes: float) -> int:
    found = bounds(runs)
    text = "\n\n".join(
        [
            facts + f"\n- {options.rounds} rounds in {minutes:.0f} minutes; {options.ct} CT and "
            f"{options.small} small instances a run",
            verdicts(found),
            table(runs),
        ]
    )
    print("\n" + text)
    if options.output:
        before = options.output.read_text().partition(_MARK)[0] if options.output.exists() else ""
        options.output.write_text(f"{before}{_MARK}\n{text}\n")
    return 1 if any("below" in bound.word() for bound in found) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ct", type=int, default=600, help="instances of one run")
    parser.add_argument("--small", type=int, default=1_500, help="instances of one run")
    parser.add_argument("--only", choices=("ct", "small"), default="")
    parser.add_argument("--alone", action="store_true", help="Radkeep without the others")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--output", type=Path, default=None, help="docs/benchmarks.md")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
