# SPDX-License-Identifier: Apache-2.0
"""A zygote whose workers try to break out: ``python sandbox_probes.py FD``. For tests alone."""

import ctypes
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Raw

from radkeep.sandbox.operations import OPERATIONS
from radkeep.sandbox.wire import Buffer
from radkeep.sandbox.worker import Operation
from radkeep.sandbox.zygote import serve

LIBC = ctypes.CDLL(None, use_errno=True)
PARENT = os.getpid()


def _loop() -> None:
    while True:
        pass


def _hoard() -> None:
    held = []
    while True:
        held.append(bytes(64 << 20))


def _code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)


def _descriptors() -> None:
    """Read from every descriptor but the channel and what came with the request."""
    for number in (0, 1, 2, *range(6, 4096)):
        try:
            if os.pread(number, 1, 0):
                os._exit(0)
        except OSError:
            continue
    raise MemoryError  # nothing was there


PROBES: dict[str, Callable[[], object]] = {
    "open": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "create": lambda: os.open("/tmp/radkeep-was-here", os.O_CREAT | os.O_WRONLY),
    "list": lambda: list(Path("/").iterdir()),
    "stat": lambda: Path("/etc/passwd").stat(),
    "unlink": lambda: Path("/tmp/radkeep-is-not-here").unlink(),
    "socket": lambda: socket.socket(socket.AF_INET),
    "unix-socket": lambda: socket.socket(socket.AF_UNIX),
    "fork": os.fork,
    "thread": lambda: threading.Thread(target=_loop).start(),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "subprocess": lambda: subprocess.run(["/bin/true"], check=False),
    "ptrace": lambda: LIBC.ptrace(16, PARENT, 0, 0),
    "read-memory": lambda: LIBC.process_vm_readv(PARENT, 0, 0, 0, 0, 0),
    "kill": lambda: os.kill(PARENT, signal.SIGTERM),
    "limits": lambda: __import__("resource").setrlimit(8, (1, 1)),
    "executable-memory": _code,
    "privileges": lambda: os.setuid(0),
    "memfd": lambda: os.memfd_create("x"),
    "loop": _loop,
    "hoard": _hoard,
    "descriptors": _descriptors,
    "crash": lambda: ctypes.string_at(8, 1),
    "kill-oneself": lambda: os._exit(0),
}


def _plain(probe: Callable[[], object]) -> Operation:
    def operation(_: Raw, parts: Sequence[memoryview]) -> tuple[Buffer, object]:
        probe()
        return b"out", None

    return operation


def _operation(probe: Callable[[], object]) -> Operation:
    def operation(_: Raw, parts: Sequence[memoryview]) -> tuple[Buffer, object]:
        with suppress(Exception):  # an error is no answer to an escape: only the end is
            probe()
        return b"out", None

    return operation


def _pid(_: Raw, parts: Sequence[memoryview]) -> tuple[Buffer, object]:
    return str(os.getpid()).encode(), None


def _too_much(_: Raw, parts: Sequence[memoryview]) -> tuple[Buffer, object]:
    return bytes(1000), None


if __name__ == "__main__":
    probes = {
        name: (_plain if name in ("hoard", "descriptors") else _operation)(probe)
        for name, probe in PROBES.items()
    }
    sys.exit(
        serve(
            socket.socket(fileno=int(sys.argv[1])),
            {**OPERATIONS, **probes, "pid": _pid, "too-much": _too_much},
        )
    )
