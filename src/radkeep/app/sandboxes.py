# SPDX-License-Identifier: Apache-2.0
"""The supervisor's hold on the sandbox's zygote.

Invariant: the zygote is started by exec before any key is open, with a few variables of the
environment and one channel. A door's channel outlives it: a zygote that ends is started again and
given the channels of all doors, whose next request finds it.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import structlog

from radkeep.sandbox import wire
from radkeep.sandbox.wire import ADOPT, READY

STOP_DEADLINE: Final = 5.0  # seconds until the zygote is killed
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "PYTHONPATH")
# Workers have one thread, and give back what a large picture took.
_SETTINGS: Final = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
    "PYTHONHASHSEED": "random",
}
_log = structlog.get_logger()


class Sandboxes:
    """Runs the zygote. All calls from one thread."""

    def __init__(self) -> None:
        """Start it."""
        self._doors: dict[str, socket.socket] = {}  # the zygote's end of each door's channel
        self._ready = False
        self._absent = False  # it never came up: nothing is decoded
        self.control, self.process = _started()

    def fileno(self) -> int:
        """Return what can be read when ``heard`` is to be called."""
        return self.control.fileno()

    def channel(self, name: str) -> socket.socket:
        """Return a new channel for the door ``name``; an earlier one of that door is cut off."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        former = self._doors.pop(name, None)
        if former is not None:
            former.close()
        if self._absent:
            ours.close()
            return theirs
        self._doors[name] = ours
        self._give(ours)
        return theirs

    def heard(self) -> bool:
        """Take what the zygote says; False when it has ended and stays so."""
        try:
            packet = self.control.recv(wire.MAX_PACKET)
        except ConnectionError:
            packet = b""
        if packet == READY:
            self._ready = True
            return True
        if packet:
            _log.error("sandbox.unavailable", reason=packet.decode(errors="replace"))
            return True
        status = self._end()
        if not self._ready:
            _log.error("sandbox.absent", status=status)
            self._hang_up()
            self._absent = True
            return False
        _log.error("sandbox.restarted", status=status)
        self._ready = False
        self.control, self.process = _started()
        for end in self._doors.values():
            self._give(end)
        return True

    def close(self) -> None:
        """Hang up, and wait until it has ended."""
        self._hang_up()
        if self.control.fileno() >= 0:
            self._end()

    def _hang_up(self) -> None:
        """Let every door know that nobody makes workers any more."""
        for end in self._doors.values():
            end.close()
        self._doors.clear()

    def _give(self, end: socket.socket) -> None:
        with suppress(OSError):  # it has ended, which ``heard`` will be told
            wire.pass_on(self.control, ADOPT, end.fileno())

    def _end(self) -> int:
        self.control.close()
        try:
            return self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def _started() -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    """Start a zygote; return our end of its channel, and the process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "radkeep.sandbox", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=kept | _SETTINGS,
    )
    theirs.close()
    return ours, process


@contextmanager
def sandboxing() -> Iterator[Sandboxes]:
    """Run a zygote."""
    sandboxes = Sandboxes()
    try:
        yield sandboxes
    finally:
        sandboxes.close()
