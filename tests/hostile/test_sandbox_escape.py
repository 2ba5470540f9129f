# SPDX-License-Identifier: Apache-2.0
"""Workers that try to break out, and what each costs: one request.

The probes run behind the very filter and limits that codecs run behind; only the operation differs.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sandbox_probes import PROBES

from radkeep.domain.errors import RadkeepError, TooLargeError, UnavailableError
from radkeep.sandbox import seccomp, wire
from radkeep.sandbox.client import Sandbox
from radkeep.sandbox.errors import DecoderCrashedError, DecoderTimeoutError
from radkeep.sandbox.wire import ADOPT, READY

DEADLINE = 1.0
ESCAPES = sorted(set(PROBES) - {"loop", "hoard", "descriptors"})


class Probing:
    """A zygote with probes, and doors to it."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        script = Path(__file__).with_name("sandbox_probes.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )
        theirs.close()
        self.control.settimeout(30)
        assert self.control.recv(100) == READY

    def door(self, **options: float) -> Sandbox:
        """Return a new door's sandbox."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        wire.pass_on(self.control, ADOPT, ours.fileno())
        ours.close()
        return Sandbox(theirs, **{"deadline": 20.0, **options})  # type: ignore[arg-type] - by name

    def workers(self) -> set[int]:
        """Return the workers that run."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return set(map(int, children.read_text().split()))

    def wait_for_at_most(self, count: int) -> None:
        """Return once so many workers live; one that was killed takes a moment to go."""
        until = time.monotonic() + DEADLINE
        while len(self.workers()) > count:
            assert time.monotonic() < until, "workers stay that nobody needs"

    def stop(self) -> None:
        self.control.close()
        assert self.process.wait(10) == 0


@pytest.fixture(scope="module")
def probing() -> Iterator[Probing]:
    made = Probing()
    yield made
    made.stop()


@pytest.fixture
def sandbox(probing: Probing) -> Iterator[Sandbox]:
    made = probing.door()
    yield made
    made.close()


def ask(sandbox: Sandbox, operation: str, *, compartment: str = "a", room: int = 100) -> bytes:
    return sandbox.run(
        operation, None, [wire.held(b"in")], room=room, compartment=compartment
    ).output


@pytest.mark.parametrize("escape", ESCAPES)
def test_an_escape_ends_the_worker_and_costs_its_request(sandbox: Sandbox, escape: str) -> None:
    worker = ask(sandbox, "pid")
    with pytest.raises(DecoderCrashedError):
        ask(sandbox, escape)
    assert not Path("/tmp/radkeep-was-here").exists()
    assert ask(sandbox, "pid") != worker


def test_a_worker_has_no_descriptor_but_its_own(sandbox: Sandbox) -> None:
    with pytest.raises(TooLargeError):  # its way to say that it found nothing
        ask(sandbox, "descriptors")


def test_a_worker_that_hoards_memory_is_refused_it(sandbox: Sandbox) -> None:
    with pytest.raises(TooLargeError):
        ask(sandbox, "hoard")
    assert ask(sandbox, "pid")


def test_a_worker_that_makes_too_much_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(TooLargeError):
        ask(sandbox, "too-much", room=999)
    assert len(ask(sandbox, "too-much", room=1000)) == 1000
    with pytest.raises(TooLargeError):
        sandbox.run("pid", None, [], room=1 << 40, compartment="a")


def test_a_loop_ends_at_the_deadline_and_others_work_on(probing: Probing) -> None:
    sandbox = probing.door(deadline=DEADLINE)
    with ThreadPoolExecutor() as threads:
        began = time.monotonic()
        looping = threads.submit(ask, sandbox, "loop")
        while not looping.done():
            assert ask(sandbox, "pid")  # the other worker
        with pytest.raises(DecoderTimeoutError):
            looping.result()
        assert DEADLINE <= time.monotonic() - began < DEADLINE + 5
    assert ask(sandbox, "pid")
    sandbox.close()


def test_a_worker_killed_in_the_middle_costs_one_request(probing: Probing) -> None:
    sandbox = probing.door(workers=1)
    victim = int(ask(sandbox, "pid"))
    killer = threading.Timer(0.2, os.kill, (victim, signal.SIGKILL))
    killer.start()
    with pytest.raises(DecoderCrashedError):
        ask(sandbox, "loop")
    killer.join()
    assert int(ask(sandbox, "pid")) != victim
    sandbox.close()


def test_no_worker_sees_two_compartments(probing: Probing) -> None:
    sandbox = probing.door(workers=2)
    seen: dict[bytes, str] = {}
    for name in ("a", "b", "a", "b", "c", "a", "d", "c"):
        worker = ask(sandbox, "pid", compartment=name)
        assert seen.setdefault(worker, name) == name
    assert len(seen) == 6  # a and b stay; then each newcomer takes the place of the idle eldest
    probing.wait_for_at_most(2)
    sandbox.close()


def test_too_many_at_once_are_told_to_come_again(probing: Probing) -> None:
    sandbox = probing.door(workers=1, waiting=1, deadline=DEADLINE)
    with ThreadPoolExecutor() as threads:
        asked = [threads.submit(ask, sandbox, "loop") for _ in range(6)]
        errors = [each.exception() for each in asked]
    assert all(isinstance(error, UnavailableError) for error in errors)
    assert sum(isinstance(error, DecoderTimeoutError) for error in errors) <= 2
    assert ask(sandbox, "pid")
    sandbox.close()


def test_a_door_that_hangs_up_takes_its_workers_along(probing: Probing) -> None:
    sandbox = probing.door(deadline=DEADLINE)
    before = probing.workers()
    with ThreadPoolExecutor() as threads:
        looping = threads.submit(ask, sandbox, "loop")
        while not probing.workers() - before:
            pass
        sandbox.close()
        while probing.workers() - before:
            pass
        assert isinstance(looping.exception(), RadkeepError)


def test_many_threads_share_two_workers(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(6) as threads:  # as many as are let in
        found = set(threads.map(lambda _: ask(sandbox, "pid"), range(60)))
    assert 1 <= len(found) <= 2


def test_the_filter_is_written_for_known_processors_only() -> None:
    assert len(seccomp.program("x86_64")) % 8 == 0
    assert seccomp.program("aarch64") != seccomp.program("x86_64")
    with pytest.raises(UnavailableError):
        seccomp.program("riscv64")


def test_without_a_filter_nothing_is_decoded() -> None:
    """A kernel that refuses the filter: here, one filter that forbids the next."""
    script = (
        "import socket, sys\n"
        "from radkeep.sandbox import zygote, confinement\n"
        "from radkeep.domain.errors import UnavailableError\n"
        "def refuse():\n    raise UnavailableError('x')\n"
        "confinement.close_the_door = refuse\n"
        "sys.exit(zygote.serve(socket.socket(fileno=int(sys.argv[1])), {}))\n"
    )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stderr=subprocess.DEVNULL,
    )
    theirs.close()
    ours.settimeout(30)
    assert ours.recv(1000).startswith(b"the kernel cannot confine a process")
    assert process.wait(10) == 1
    ours.close()
