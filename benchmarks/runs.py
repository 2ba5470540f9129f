# SPDX-License-Identifier: Apache-2.0
"""One measured run: a fresh server, one burst of C-STOREs, its cost; and the rounds of them."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from receivers import CALLING, Receiver, Start
from usage import Watch, cpu_seconds

_SENDER = Path(__file__).with_name("rawsend.py")
_TIMEOUT = 120  # seconds for one burst
_SETTLE = 1.5  # seconds in which a server may finish what it put off; that cost counts too


@dataclass(frozen=True)
class Cell:
    """What is sent: so many instances of one kind over so many associations."""

    kind: str
    count: int
    associations: int


@dataclass(frozen=True)
class Run:
    """What one run measured."""

    receiver: str
    kind: str
    associations: int
    round: int
    rate: float  # instances a second
    megabytes: float  # a second
    p50: float  # milliseconds from a request's first byte to its answer
    p99: float
    cpu: float  # milliseconds an instance, all processes
    pss: float  # megabytes at peak, all processes


def rounds(
    count: int, cells: Sequence[Cell], receivers: Mapping[str, Start], data: Path, folder: Path
) -> Iterator[Run]:
    """Run every receiver in every cell ``count`` times, in turn; each round begins with another."""
    names = list(receivers)
    for number in range(count):
        turn = number % len(names)
        for cell in cells:
            for name in names[turn:] + names[:turn]:
                yield measure(name, receivers[name], cell, data, folder, number)


def measure(name: str, start: Start, cell: Cell, data: Path, folder: Path, number: int) -> Run:
    """Measure one run. What it stored is gone afterwards."""
    place = folder / "run"
    place.mkdir()
    os.sync()  # nobody pays for another's writes
    try:
        with start(place) as receiver, Watch(receiver.pid) as watch:
            before = cpu_seconds(receiver.pid)
            sent = _send(receiver, cell, data)
            threading.Event().wait(_SETTLE)
            cpu = cpu_seconds(receiver.pid) - before
    finally:
        shutil.rmtree(place)
        os.sync()
    if sent["statuses"] != {"0000": cell.count}:
        raise RuntimeError(f"{name}: {sent['statuses']}")
    return Run(
        receiver=name,
        kind=cell.kind,
        associations=cell.associations,
        round=number,
        rate=sent["n"] / sent["wall"],
        megabytes=sent["bytes"] / sent["wall"] / 1e6,
        p50=sent["p50_ms"],
        p99=sent["p99_ms"],
        cpu=cpu * 1e3 / sent["n"],
        pss=watch.peak / 1e6,
    )


def _send(receiver: Receiver, cell: Cell, data: Path) -> dict[str, Any]:
    port = receiver.port
    options = ["--associations", str(cell.associations), "--limit", str(cell.count)]
    options += ["--calling", CALLING, *receiver.options]
    finished = subprocess.run(
        [sys.executable, _SENDER, str(port), data / cell.kind, *options],
        stdout=subprocess.PIPE,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    figures: dict[str, Any] = json.loads(finished.stdout or '{"errors": ["the sender failed"]}')
    if "errors" in figures:
        raise RuntimeError(f"port {port}: {figures['errors']}")
    return figures


def line(run: Run) -> str:
    """Return ``run`` as a line of JSON."""
    return json.dumps(asdict(run))
