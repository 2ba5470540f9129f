# SPDX-License-Identifier: Apache-2.0
"""``make fuzz``: every target with atheris, each in a process of its own.

Ends with 0 only if no target had a finding. A finding is written to build/fuzz/TARGET; put it
into tests/fuzz/found/TARGET with its mend, and `make test` repeats it for ever.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FOUND: Final = Path(__file__).parent / "found"
WORK: Final = ROOT / "build" / "fuzz"
_SLOWEST: Final = 10  # seconds: an input that takes longer is a finding
_LARGEST: Final = 1_536  # MiB of a process: an input that needs more is a finding
_LONGEST_SEED: Final = 8_192  # bytes
_SEEDS: Final = 60  # files of the corpus
_DONE: Final = re.compile(r"^Done (\d+) runs in (\d+) second", re.MULTILINE)
_LAST: Final = re.compile(r"^#(\d+)\s+\S+.*?(?:cov: (\d+))?", re.MULTILINE)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Fuzz the parsers of the wire.")
    parser.add_argument("--minutes", type=float, default=30.0, help="of all targets together")
    parser.add_argument("--inputs", type=int, default=10_000_000, help="of all targets together")
    parser.add_argument("--target", action="append", help="only this one; repeatable")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _fuzz(arguments.child, arguments.seconds, arguments.inputs)
        return 1  # not reached: libFuzzer ends the process
    return _all(arguments.target, arguments.minutes, arguments.inputs)


def _all(names: Sequence[str] | None, minutes: float, inputs: int) -> int:
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - the child must instrument it first

    if importlib.util.find_spec("atheris") is None:
        print("atheris is not here (Linux on x86-64 has wheels): make test runs a slice without it")
        return 2
    unknown = set(names or ()) - TARGETS.keys()
    if unknown:
        print(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
        return 2
    chosen = {name: TARGETS[name].share for name in names or TARGETS}
    whole, total, bad = sum(chosen.values()), 0, []
    for name, share in chosen.items():
        seconds = max(1, round(minutes * 60 * share / whole))
        runs = max(1, inputs * share // whole)
        done, took, finding = _one(name, seconds, runs)
        total += done
        print(f"{name:12} {done:>10,} inputs {took:6.0f} s  {finding or 'no finding'}", flush=True)
        if finding:
            bad.append(name)
    print(f"{'all':12} {total:>10,} inputs, findings in: {', '.join(bad) or 'nothing'}")
    return 1 if bad else 0


def _one(name: str, seconds: int, runs: int) -> tuple[int, float, str]:
    """Fuzz one target; return inputs, seconds, and where a finding lies."""
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz.run", "--child", name]
    command += ["--seconds", str(seconds), "--inputs", str(runs)]
    child = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False
    )
    took = time.monotonic() - began
    done = _DONE.search(child.stderr)
    if child.returncode == 0 and done:
        return int(done[1]), took, ""
    log = WORK / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(child.stdout + child.stderr, encoding="utf-8")
    counts = [int(line[1]) for line in _LAST.finditer(child.stderr)]
    return max(counts, default=0), took, f"FINDING: {log.relative_to(ROOT)}"


def _fuzz(name: str, seconds: int, runs: int) -> None:
    """Hand this process over to libFuzzer."""
    import atheris  # noqa: PLC0415 - an optional tool, and slow to load

    with atheris.instrument_imports(include=["radkeep", "python_multipart"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - instrumented as it is loaded
    target = TARGETS[name]
    pool = WORK / name / "pool"
    pool.mkdir(parents=True, exist_ok=True)
    for seed in (*target.seeds(_corpus()), *_found(name)):
        content = seed[:_LONGEST_SEED]
        (pool / sha256(content).hexdigest()[:16]).write_bytes(content)
    options = {
        "max_total_time": seconds,
        "runs": runs,
        "max_len": target.longest,
        "timeout": _SLOWEST,
        "rss_limit_mb": _LARGEST,
        "artifact_prefix": f"{pool.parent}/",
        "print_final_stats": 1,
    }
    flags = [f"-{key}={value}" for key, value in options.items()]
    atheris.Setup([sys.argv[0], *flags, str(pool)], target.check)
    atheris.Fuzz()


def _corpus() -> Sequence[Path]:
    folder = Path(os.environ.get("RADKEEP_CORPUS", ROOT.parent / "shared" / "corpus"))
    files = sorted(folder.rglob("*.dcm")) if folder.is_dir() else []
    return files[:: max(1, len(files) // _SEEDS)]


def _found(name: str) -> Sequence[bytes]:
    return [path.read_bytes() for path in sorted((FOUND / name).glob("*"))]


if __name__ == "__main__":
    sys.exit(main())
