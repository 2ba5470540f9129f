# SPDX-License-Identifier: Apache-2.0
"""A door's side of the sandbox: a small pool of workers, and what they answer, checked.

Invariant: a worker past its deadline is killed, one that ended or babbled is replaced, and each
costs the one request it had. A worker sees the bytes of one compartment only, so that what breaks
out of a codec finds nobody else's pictures. Nothing that a worker says is believed but a length
within what the caller has room for.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
from msgspec import Raw

from radkeep.domain.errors import TooLargeError, UnavailableError
from radkeep.sandbox import wire
from radkeep.sandbox.confinement import CPU_SECONDS
from radkeep.sandbox.errors import DecoderCrashedError, DecoderTimeoutError, error_of
from radkeep.sandbox.wire import SPAWN, SPAWNED, Answer, Input, NotAMessageError, Request

WORKERS: Final = 2
WAITING: Final = 4  # requests; more are told to come again, so that no door waits as a whole
DEADLINE: Final = 20.0  # seconds of one request
SPAWN_DEADLINE: Final = 10.0  # seconds until the zygote has made a worker
MAX_INPUT: Final = 1 << 30  # bytes
MAX_OUTPUT: Final = 1 << 30  # bytes
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Result:
    """What a worker made: bytes, and a small value that says what they are. Both are hostile."""

    output: bytes
    body: Raw


class _Worker:
    def __init__(self, end: socket.socket, process: int, compartment: str) -> None:
        self.end = end
        self.process = process  # pidfd
        self.compartment = compartment
        self.busy = 0.0  # seconds in all

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.process, signal.SIGKILL)
        self.end.close()
        os.close(self.process)


class Sandbox:
    """Runs operations in workers. Thread-safe."""

    def __init__(
        self,
        zygote: socket.socket,
        *,
        workers: int = WORKERS,
        waiting: int = WAITING,
        deadline: float = DEADLINE,
    ) -> None:
        """Use ``zygote``, this door's channel to it; workers are made when they are needed."""
        self._zygote = zygote
        self._zygote.settimeout(SPAWN_DEADLINE)
        self._deadline = deadline
        self._spawning = threading.Lock()
        self._running = threading.BoundedSemaphore(workers)
        self._admitted = threading.BoundedSemaphore(workers + waiting)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []  # the one used last is the last
        self._most = workers
        self._alive = 0
        self._closed = False

    def run(
        self,
        operation: str,
        parameters: object,
        parts: Sequence[Input],
        *,
        room: int,
        compartment: str,
    ) -> Result:
        """Return what ``operation`` makes of ``parts``.

        Args:
            operation: its name.
            parameters: what msgpack can encode, small.
            parts: the bytes it works on, read when a worker is there.
            room: how many bytes it may make.
            compartment: whose bytes they are; a worker never sees those of two.

        Raises:
            TooLargeError: more than one request may have or make.
            UnavailableError: too many wait, the deadline passed, or there is no sandbox.
            DecoderCrashedError: the worker ended or answered nonsense.
            DamagedPixelsError: the bytes are not what they are said to be.
            NotDecodableError: nothing here decodes them.
        """
        lengths = tuple(length for length, _ in parts)
        if sum(lengths) > MAX_INPUT or room > MAX_OUTPUT:
            raise TooLargeError("the image is larger than what may be decoded")
        request = Request(operation, Raw(msgspec.msgpack.encode(parameters)), lengths, room)
        with self._slot():
            source = wire.input_file(parts)
            try:
                answer = self._ask(compartment, request, source)
            finally:
                os.close(source)
        if isinstance(answer, str):
            raise error_of(answer)
        return answer

    def close(self) -> None:
        """End the workers that are idle, and refuse what comes."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.kill()
        self._zygote.close()

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """Wait until one more request may run.

        Raises:
            UnavailableError: too many wait, or for too long.
        """
        if not self._admitted.acquire(blocking=False):
            raise UnavailableError("too many images are being decoded")
        try:
            if not self._running.acquire(timeout=self._deadline):
                raise UnavailableError("too many images are being decoded")
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._admitted.release()

    def _ask(self, compartment: str, request: Request, source: int) -> Result | str:
        """Have a worker do it; whatever is raised costs that worker its life."""
        worker = self._take(compartment)
        began = time.monotonic()
        try:
            answer = _ask(worker.end, request, source, began + self._deadline)
        except TimeoutError:
            self._end(worker)
            _log.warning("sandbox.worker-killed", operation=request.operation)
            raise DecoderTimeoutError("decoding took too long and was stopped") from None
        except (NotAMessageError, OSError):
            self._end(worker)
            _log.warning("sandbox.worker-died", operation=request.operation)
            raise DecoderCrashedError("the decoder ended in the middle of a request") from None
        except BaseException:
            self._end(worker)
            raise
        worker.busy += time.monotonic() - began
        self._give_back(worker)
        return answer

    def _take(self, compartment: str) -> _Worker:
        stale = None
        with self._lock:
            if self._closed:
                raise UnavailableError("the sandbox is closed")
            for at in range(len(self._idle) - 1, -1, -1):
                if self._idle[at].compartment == compartment:
                    return self._idle.pop(at)
            if self._alive == self._most:  # one of them is idle, since this caller may run one
                stale = self._idle.pop(0)
            else:
                self._alive += 1
        if stale is not None:
            stale.kill()
        try:
            return self._spawn(compartment)
        except BaseException:
            with self._lock:
                self._alive -= 1
            raise

    def _end(self, worker: _Worker) -> None:
        worker.kill()
        with self._lock:
            self._alive -= 1

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            if not self._closed and worker.busy + self._deadline < CPU_SECONDS:
                self._idle.append(worker)
                return
        self._end(worker)

    def _spawn(self, compartment: str) -> _Worker:
        with self._spawning:
            try:
                self._zygote.send(SPAWN)
                packet, descriptors = wire.receive(self._zygote, 2)
            except (OSError, NotAMessageError) as error:
                raise UnavailableError("the sandbox does not answer") from error
        if packet != SPAWNED or len(descriptors) != 2:  # noqa: PLR2004 - channel and process
            raise UnavailableError("the sandbox makes no worker")
        end, process = descriptors
        return _Worker(socket.socket(fileno=end), process, compartment)


def _ask(end: socket.socket, request: Request, source: int, until: float) -> Result | str:
    """Return what the worker made of the file ``source``, or the code of its error.

    Raises:
        TimeoutError: it did not answer in time.
        NotAMessageError: what came is no answer to this.
        OSError: the worker ended.
    """
    target = wire.output_file(request.room)
    try:
        wire.send(end, request, (source, target))
        end.settimeout(max(until - time.monotonic(), 0.001))
        packet, _ = wire.receive(end)
        answer: Answer = wire.decode(packet, Answer)
        if answer.error:
            return answer.error
        if not 0 <= answer.length <= request.room:
            raise NotAMessageError
        return Result(wire.read_whole(target, answer.length), answer.body)
    finally:
        os.close(target)
