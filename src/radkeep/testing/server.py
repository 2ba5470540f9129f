# SPDX-License-Identifier: Apache-2.0
"""A real Radkeep in a subprocess, driven as an outsider would: command line, ports, READY line.

Invariant: a started server is stopped when its ``with`` block ends, whatever happened inside.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

PASSPHRASE: Final = "correct horse battery staple"  # noqa: S105 - of throw-away directories
ADMINISTRATOR: Final = "admin@clinic.example"
READY_DEADLINE: Final = 60.0  # seconds


@dataclass(frozen=True)
class Installation:
    """A data directory that ``radkeep init`` founded."""

    data: Path
    founded: Mapping[str, Any]
    passphrase_file: Path

    def run(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run ``radkeep`` with ``arguments`` on this directory."""
        finished = subprocess.run(
            command(*arguments, "--data", str(self.data)),
            capture_output=True,
            text=True,
            env=environment(self.passphrase_file),
            timeout=READY_DEADLINE * 2,
            check=False,
        )
        if check and finished.returncode != 0:
            raise AssertionError(f"radkeep {arguments[0]}: {finished.stderr}")
        return finished

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Return what ``radkeep ... --json`` prints."""
        return json.loads(self.run(*arguments, "--json").stdout)


@dataclass
class Server:
    """A running server."""

    process: "subprocess.Popen[str]"
    ready: Mapping[str, Any]
    log: list[str] = field(default_factory=list)  # lines of stderr

    @property
    def web(self) -> int:
        """Return the port of the web door."""
        return _port(self.ready["web"])

    @property
    def dimse(self) -> int:
        """Return the port of plaintext DIMSE."""
        return _port(self.ready["dimse"])

    def pids(self) -> Sequence[int]:
        """Return the supervisor and all its children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *map(int, children.read_text().split())]

    def kill(self) -> None:
        """End every process with SIGKILL, as a power cut would."""
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        self.process.wait(READY_DEADLINE)


def command(*arguments: str) -> list[str]:
    """Return the command line of ``radkeep`` in this environment."""
    return [sys.executable, "-m", "radkeep", *arguments]


def environment(passphrase_file: Path | None = None) -> dict[str, str]:
    """Return an environment without settings of the caller's own Radkeep."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RADKEEP_")}
    if passphrase_file is not None:
        kept["RADKEEP_PASSPHRASE_FILE"] = str(passphrase_file)
    return kept


def found(folder: Path) -> Installation:
    """Found a production data directory below ``folder``."""
    secret = folder / "passphrase"
    secret.write_text(PASSPHRASE)
    data = folder / "data"
    arguments = ("init", "--organization", "Clinic", "--admin", ADMINISTRATOR)
    finished = subprocess.run(
        command(*arguments, "--data", str(data), "--json"),
        capture_output=True,
        text=True,
        env=environment(secret),
        timeout=READY_DEADLINE,
        check=False,
    )
    if finished.returncode != 0:
        raise AssertionError(f"radkeep init: {finished.stderr}")
    return Installation(data, json.loads(finished.stdout), secret)


@contextmanager
def serving(installation: Installation, *arguments: str) -> Iterator[Server]:
    """Run ``radkeep serve`` on ports that the system chooses."""
    options = ("--web-port", "0", "--dimse-port", "0", "--dimse-tls-port", "0", "--admin-port", "0")
    process = subprocess.Popen(
        command("serve", "--data", str(installation.data), *options, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(installation.passphrase_file),
    )
    log: list[str] = []
    reader = threading.Thread(target=_collect, args=(process, log), daemon=True)
    reader.start()
    deadline = threading.Timer(READY_DEADLINE, process.kill)
    deadline.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
        deadline.cancel()
        if not line.startswith("READY "):
            process.kill()
            process.wait()
            reader.join()
            raise AssertionError("radkeep serve did not start:\n" + "".join(log))
        yield Server(process, json.loads(line.removeprefix("READY ")), log)
    finally:
        deadline.cancel()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(READY_DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def _collect(process: "subprocess.Popen[str]", log: list[str]) -> None:
    log.extend(process.stderr or ())


def _port(value: str | int) -> int:
    """Return the port of an address ``host:port``, a URL or a bare number."""
    return int(str(value).rstrip("/").rpartition(":")[2])
