# SPDX-License-Identifier: Apache-2.0
"""The zygote: has every codec loaded and forks workers, each behind the filter.

Invariant: it never reads a byte that a worker wrote, holds no key and has one thread. The doors'
channels come from the supervisor; a door that hangs up takes its workers with it.
"""

import gc
import os
import selectors
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from radkeep.domain.errors import UnavailableError
from radkeep.sandbox import wire
from radkeep.sandbox.confinement import confine, harden
from radkeep.sandbox.wire import ADOPT, READY, SPAWN, SPAWNED, NotAMessageError
from radkeep.sandbox.worker import Operation, work

MEMORY: Final = 2 << 30  # bytes of a worker's address space
MAX_WORKERS: Final = 8  # of one door
_WORKS, _FAILS = 0, 1


@dataclass(slots=True)
class _Door:
    """One door's channel and the workers made for it."""

    end: socket.socket
    workers: set[int] = field(default_factory=set)  # pidfds


class Zygote:
    """Serves the supervisor and the doors until the supervisor hangs up."""

    def __init__(
        self, control: socket.socket, operations: Mapping[str, Operation], *, memory: int = MEMORY
    ) -> None:
        self._control = control
        self._operations = operations
        self._memory = memory
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve; return when the supervisor is gone.

        Raises:
            UnavailableError: workers cannot be confined here; nothing was served.
        """
        gc.collect()
        gc.freeze()  # what is loaded stays in pages that workers share
        if self._probe() != _WORKS:
            raise UnavailableError("the kernel cannot confine a process: nothing is decoded")
        self._control.send(READY)
        while True:
            for key, _ in self._selector.select():
                match key.data:
                    case _Door():
                        self._heard(key.data)
                    case int():
                        self._reap(key.data)
                    case _:
                        if not self._adopt():
                            return

    def _probe(self) -> int:
        """Return how a process ends that does nothing but confine itself."""
        pid = os.fork()
        if pid == 0:
            status = _FAILS
            try:
                ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                end = confine(ours, memory=self._memory)
                status = _WORKS if end.fileno() > 0 else _FAILS  # what drops it asks the kernel
            finally:
                os._exit(status)
        return os.waitpid(pid, 0)[1]

    def _adopt(self) -> bool:
        packet, ends = wire.receive(self._control, 1)
        if packet == ADOPT and ends:
            door = _Door(socket.socket(fileno=ends[0]))
            self._selector.register(door.end, selectors.EVENT_READ, door)
        return bool(packet)

    def _heard(self, door: _Door) -> None:
        try:
            packet, _ = wire.receive(door.end)
        except (NotAMessageError, OSError):
            packet = b""
        if packet == SPAWN and len(door.workers) < MAX_WORKERS:
            self._spawn(door)
            return
        self._selector.unregister(door.end)
        door.end.close()
        for worker in door.workers:
            signal.pidfd_send_signal(worker, signal.SIGKILL)

    def _spawn(self, door: _Door) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            try:
                self._become_worker(theirs)
            finally:
                os._exit(_FAILS)
        theirs.close()
        worker = os.pidfd_open(pid)
        door.workers.add(worker)
        self._selector.register(worker, selectors.EVENT_READ, worker)
        try:
            wire.pass_on(door.end, SPAWNED, ours.fileno(), worker)
        except OSError:
            signal.pidfd_send_signal(worker, signal.SIGKILL)
        finally:
            ours.close()

    def _become_worker(self, channel: socket.socket) -> None:
        gc.enable()
        work(confine(channel, memory=self._memory), self._operations)

    def _reap(self, worker: int) -> None:
        os.waitid(os.P_PIDFD, worker, os.WEXITED)
        self._selector.unregister(worker)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Door):
                key.data.workers.discard(worker)
        os.close(worker)


def serve(control: socket.socket, operations: Mapping[str, Operation]) -> int:
    """Be the zygote of ``control``; return the exit status."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor hangs up when doors have ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    try:
        harden()
        Zygote(control, operations).run()
    except UnavailableError as error:
        with suppress(OSError):
            control.send(str(error).encode())
        return 1
    except ConnectionError:  # the supervisor went before the zygote was ready
        return 0
    return 0
