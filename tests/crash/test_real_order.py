# SPDX-License-Identifier: Apache-2.0
"""What the kernel saw: audit entry, record and sync come before the answer on the wire."""

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from torture_clinic import (
    CT,
    DEVICE,
    EXPLICIT,
    Association,
    founded,
    instance,
    processes,
    stopped,
    wait_until,
)

from radkeep.testing.server import serving

ROOT = "1.2.826.0.1.3680043.8.498.96"
CALLS = "fdatasync,fsync,pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg"
LINE = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)")


class Call:
    """One system call: where in the trace it began and where it returned."""

    def __init__(self, text: str, began: int) -> None:
        self.text = text
        self.began = began
        self.returned = -1
        self.result = ""

    def does(self, name: str, what: str) -> bool:
        """Tell whether it is the call `name` on something like `what`."""
        return re.match(name, self.text) is not None and re.search(what, self.text) is not None


def parsed(trace: str) -> list[Call]:
    """Return the calls of a trace in which threads interrupt one another."""
    calls: list[Call] = []
    open_: dict[str, Call] = {}
    for number, line in enumerate(trace.splitlines()):
        match = LINE.fullmatch(line)
        if match is None or match["rest"].startswith(("---", "+++")):
            continue
        pid, rest = match["pid"], match["rest"]
        if rest.startswith("<... "):
            call = open_.pop(pid, None)
        else:
            call = Call(rest, number)
            calls.append(call)
        if call is None:
            continue
        if rest.endswith("<unfinished ...>"):
            open_[pid] = call
        else:
            call.returned, call.result = number, rest.rpartition(" = ")[2]
    return calls


def trace(pids: list[int], out: Path) -> "subprocess.Popen[bytes]":
    """Attach to processes, or skip the test where that cannot be done."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not here; on Debian: apt install strace")
    attach = [argument for pid in pids for argument in ("-p", str(pid))]
    said = out.with_suffix(".said")
    with said.open("w") as file:
        tracer = subprocess.Popen(
            ["strace", "-f", "-yy", "-s", "16", "-e", f"trace={CALLS}", "-o", str(out), *attach],
            stderr=file,
        )
    wait_until(
        lambda: said.read_text().count("attached") >= len(pids) or tracer.poll() is not None,
        "strace",
    )
    if tracer.poll() is not None:
        pytest.skip(f"processes may not be traced here: {said.read_text().strip()}")
    return tracer


def test_nothing_is_acknowledged_before_it_is_durable(tmp_path: Path) -> None:
    installation = founded(tmp_path, passphrase=False)
    out = tmp_path / "trace"
    with serving(installation) as server:

        def store(number: int) -> int:
            link = Association(("127.0.0.1", server.dimse), [(CT, EXPLICIT)], calling=DEVICE)
            status = link.store(instance(f"{ROOT}.1.1.{number}", bytes(90_000)))
            link.release()
            return status

        assert store(1) == 0  # the volume is there, and the study has its key
        pids = processes(server)
        tracer = trace([pids["dimse"], pids["keeper"]], out)
        assert store(2) == 0
        tracer.send_signal(signal.SIGINT)
        tracer.wait(30)
        assert stopped(server) == 0

    calls = parsed(out.read_text(errors="replace"))
    written = next(c for c in calls if c.does("pwrite", r"/volumes/\w+\.\w+>"))
    record_synced = next(
        c for c in calls if c.does("fdatasync", r"/volumes/") and c.began > written.returned
    )
    answered = next(
        c
        for c in calls
        if c.began > written.began and c.does("(write|send)", r'TCP.*"\\4\\0')  # a P-DATA-TF PDU
    )
    assert record_synced.result == "0"
    assert written.returned < record_synced.began <= record_synced.returned < answered.began

    begun = [
        next(c for c in calls if c.does("fdatasync", rf"/audit/.*{name}"))
        for name in ("payloads", "tree")
    ]
    assert all(call.result == "0" and call.returned < written.began for call in begun)
