# SPDX-License-Identifier: Apache-2.0
"""DICOMweb of Radkeep and of Orthanc with its DICOMweb plugin, in turn on one machine.

    python benchmarks/web.py [--count 500] [--frames 600] [--rounds 2] [--only study,...]
                             [--folder build/benchmarks] [--output docs/benchmarks-web.md]

Radkeep answers over TLS and, for the reader, over its control socket without TLS; Orthanc over
plain HTTP, so the comparison is against us. curl reads, with connections that stay open, so that
the client costs little. It ends with status 1 when a figure is below its floor.
"""

import argparse
import http.client
import random  # noqa: TID251 - content and order of reading
import secrets
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from radkeep.testing import server as radkeep_server
from receivers import running_orthanc
from report import machine

ORTHANC: Final = "Orthanc, HTTP"
OURS: Final = "Radkeep, TLS"
PLAIN: Final = "Radkeep, no TLS"
FLOORS: Final = {"stow": 1.5, "study": 0.7, "frames/1": 1.5, "frames/8": 1.5, "frames/32": 1.5}
_STUDY: Final = "1.2.826.0.1.3680043.8.498.91.1"
_SERIES: Final = f"{_STUDY}.1"
_DICOM: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_OCTETS: Final = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
_JSON: Final = "application/dicom+json"
_CLIENTS: Final = (1, 8, 32)


@dataclass
class Door:
    """One server's DICOMweb."""

    name: str
    connect: Callable[[], http.client.HTTPConnection]
    base: str  # of addresses
    curl: list[str]  # lines of curl's configuration
    headers: dict[str, str] = field(default_factory=dict)

    def fetch(self, paths: Sequence[str], accept: str, *, clients: int = 1) -> "Fetched":
        """Read answers with ``clients`` connections at once."""
        lines = [
            *self.curl,
            "silent",
            "fail",
            "no-buffer",
            f"parallel-max = {clients}",
            *(["parallel"] if clients > 1 else []),
            f'header = "Accept: {accept.replace(chr(34), chr(92) + chr(34))}"',
            *(f'header = "{name}: {value}"' for name, value in self.headers.items()),
            'write-out = "%{http_code} %{size_download} %{time_total}\\n"',
        ]
        for path in paths:
            lines += [f'url = "{self.base}/dicom-web{path}"', "output = /dev/null"]
        began = time.perf_counter()
        told = subprocess.run(
            ["curl", "--config", "-"],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            check=False,
        )
        elapsed = time.perf_counter() - began
        rows = [line.split() for line in told.stdout.splitlines()]
        if len(rows) != len(paths) or any(row[0] != "200" for row in rows):
            raise RuntimeError(f"{self.name}: {rows[:1]} {told.stderr[:200]}")
        return Fetched(elapsed, sum(int(row[1]) for row in rows), [float(row[2]) for row in rows])


@dataclass
class Fetched:
    """What some requests took."""

    seconds: float
    size: int  # bytes
    each: list[float]  # seconds


class _Local(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def instances(count: int) -> Iterator[bytes]:
    """Yield CT instances of 525 KB of one series."""
    from radkeep.dicom.encode import encode  # noqa: PLC0415 - only the sender needs it
    from radkeep.dicom.part10 import file_meta  # noqa: PLC0415

    ct, explicit = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
    chance = random.Random(1)
    pixels = bytearray(chance.randbytes(512 * 512 * 2))
    for number in range(1, count + 1):
        pixels[:8] = number.to_bytes(8, "little")
        uid = f"{_SERIES}.{number}"
        body = encode(
            [
                (0x00080016, "UI", ct),
                (0x00080018, "UI", uid),
                (0x00080020, "DA", "20260301"),
                (0x00080060, "CS", "CT"),
                (0x00100010, "PN", "Bench^Web"),
                (0x00100020, "LO", "BENCH"),
                (0x0020000D, "UI", _STUDY),
                (0x0020000E, "UI", _SERIES),
                (0x00200011, "IS", "1"),
                (0x00200013, "IS", str(number)),
                (0x00280002, "US", 1),
                (0x00280004, "CS", "MONOCHROME2"),
                (0x00280010, "US", 512),
                (0x00280011, "US", 512),
                (0x00280100, "US", 16),
                (0x00280101, "US", 16),
                (0x00280102, "US", 15),
                (0x00280103, "US", 0),
                (0x7FE00010, "OW", bytes(pixels)),
            ]
        )
        yield file_meta(ct, uid, explicit) + body


def stow(door: Door, files: Sequence[bytes], at_once: int = 50) -> float:
    """Store ``files``, ``at_once`` in a request; return seconds."""
    boundary = secrets.token_hex(8)
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    began = time.perf_counter()
    with closing(door.connect()) as link:
        for start in range(0, len(files), at_once):
            some = files[start : start + at_once]
            head = f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
            body = b"".join(head + each for each in some) + f"\r\n--{boundary}--\r\n".encode()
            headers = {"Content-Type": kind, "Accept": _JSON, **door.headers}
            link.request("POST", "/dicom-web/studies", body, headers)
            with link.getresponse() as answer:
                answer.read()
                if answer.status != http.HTTPStatus.OK:
                    raise RuntimeError(f"{door.name}: {answer.status} for STOW")
    return time.perf_counter() - began


def frames(door: Door, count: int, clients: int, number: int) -> tuple[float, float]:
    """Return frames a second and the 99th percentile of milliseconds, of ``clients`` at once."""
    chance = random.Random(clients)
    path = f"/studies/{_STUDY}/series/{_SERIES}/instances/{_SERIES}."
    paths = [f"{path}{chance.randrange(1, count + 1)}/frames/1" for _ in range(number)]
    found = door.fetch(paths, _OCTETS, clients=clients)
    return number / found.seconds, 1000 * statistics.quantiles(found.each, n=100)[-1]


@contextmanager
def radkeep(folder: Path) -> Iterator[list[Door]]:
    """Run Radkeep as in production; yield its door with and without TLS."""
    founded = radkeep_server.found(folder)
    scopes = ("--scope", "dicomweb:read", "--scope", "dicomweb:write")
    with radkeep_server.serving(founded) as server:
        token = founded.run("token", "create", "bench", *scopes).stdout.strip()
        trust = ssl.create_default_context(cafile=str(founded.data / "tls" / "ca.pem"))
        port = server.web
        control = founded.data / "run" / "control.sock"
        yield [
            Door(
                OURS,
                lambda: http.client.HTTPSConnection("localhost", port, context=trust),
                f"https://localhost:{port}",
                [f'cacert = "{founded.data}/tls/ca.pem"'],
                {"Authorization": f"Bearer {token}"},
            ),
            Door(
                PLAIN, lambda: _Local(control), "http://localhost", [f'unix-socket = "{control}"']
            ),
        ]


@contextmanager
def orthanc(folder: Path) -> Iterator[list[Door]]:
    """Run Orthanc with its DICOMweb plugin over plain HTTP."""
    with running_orthanc(folder) as port:
        yield [
            Door(
                ORTHANC,
                lambda: http.client.HTTPConnection("127.0.0.1", port),
                f"http://127.0.0.1:{port}",
                [],
            )
        ]


Figures = dict[str, dict[str, list[float]]]  # what, who, one value a round


def measure(door: Door, options: argparse.Namespace, figures: Figures) -> None:
    """Measure what reads."""
    wanted = options.only.split(",") if options.only else []

    def note(what: str, value: float) -> None:
        figures.setdefault(what, {}).setdefault(door.name, []).append(value)
        print(f"{door.name:18} {what:12} {value:10.1f}", flush=True)

    if not wanted or "metadata" in wanted:
        found = door.fetch([f"/studies/{_STUDY}/metadata"] * 3, _JSON)
        note("metadata", 1000 * statistics.median(found.each))
    if not wanted or "study" in wanted:
        found = door.fetch([f"/studies/{_STUDY}"], _DICOM)
        note("study", found.size / found.each[0] / 1e6)
    if not wanted or "frames" in wanted:
        for clients in _CLIENTS:
            rate, worst = frames(door, options.count, clients, options.frames)
            note(f"frames/{clients}", rate)
            note(f"p99/{clients}", worst)


_UNITS: Final = {
    "stow": "STOW, instances a second",
    "metadata": "metadata of the study, ms",
    "study": "whole study, MB a second",
    **{f"frames/{n}": f"one frame, {n} clients, a second" for n in _CLIENTS},
    **{f"p99/{n}": f"one frame, {n} clients, 99th percentile, ms" for n in _CLIENTS},
}


def table(figures: Figures) -> str:
    """Return the medians as a table, with our ratio to Orthanc."""
    rows = [
        f"| what | {OURS} | {PLAIN} | {ORTHANC} | TLS beside Orthanc | floor |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for what, words in _UNITS.items():
        found = {who: statistics.median(values) for who, values in figures.get(what, {}).items()}
        if not found:
            continue
        cells = [f"{found[who]:.1f}" if who in found else "" for who in (OURS, PLAIN, ORTHANC)]
        ratio = ratio_of(figures, what)
        told = f"{ratio:.2f}" if ratio else ""
        rows.append(f"| {words} | {' | '.join(cells)} | {told} | {FLOORS.get(what, '')} |")
    return "\n".join(rows)


def ratio_of(figures: Figures, what: str) -> float:
    """Return how many times Orthanc's median ours is, 0 when one is missing."""
    found = figures.get(what, {})
    if OURS not in found or ORTHANC not in found:
        return 0.0
    return statistics.median(found[OURS]) / statistics.median(found[ORTHANC])


def main() -> int:
    """Measure and tell."""
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    figures: Figures = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        files = list(instances(options.count))
        for number in range(options.rounds):
            for name, start in (("radkeep", radkeep), ("orthanc", orthanc)):
                if options.alone and name == "orthanc":
                    continue
                place = Path(folder) / f"{name}{number}"
                place.mkdir()
                with start(place) as doors:
                    took = stow(doors[0], files)
                    rate = len(files) / took
                    figures.setdefault("stow", {}).setdefault(doors[0].name, []).append(rate)
                    print(f"{doors[0].name:18} stow         {rate:10.1f}", flush=True)
                    for door in doors:
                        measure(door, options, figures)
                subprocess.run(["rm", "-rf", str(place)], check=True)
        facts = machine(Path(folder))
    print("\n" + table(figures))
    if options.output:
        text = f"{facts}\n- {options.rounds} rounds, {options.count} CT instances of 525 KB\n\n"
        options.output.write_text(_HEAD + text + table(figures) + "\n")
    below = [what for what, floor in FLOORS.items() if 0 < ratio_of(figures, what) < floor]
    print("below the floor: " + (", ".join(below) or "nothing"))
    return 1 if below else 0


_HEAD: Final = """# DICOMweb, measured

Written by `make bench-web`: curl reads from Radkeep over TLS, from Radkeep's control socket
without TLS, and from Orthanc with its DICOMweb plugin over plain HTTP, in one run on one machine.
Radkeep encrypts, decides and audits as in production.

"""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=500, help="instances of the study")
    parser.add_argument("--frames", type=int, default=600, help="that each run reads")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="some of metadata,study,frames")
    parser.add_argument("--alone", action="store_true", help="Radkeep without Orthanc")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--output", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
