# SPDX-License-Identifier: Apache-2.0
"""The supervisor: holds the lock and the root key, starts the processes, appends to the keyring.

Invariant: it opens no network socket and reads no byte from outside; a door that ends is started
again with a fresh channel, and so is one that babbles; when the keeper ends everything ends, since
nothing may go unaudited.
"""

import selectors
import signal
import socket
import subprocess
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from radkeep.app import channel, keeper
from radkeep.app.authority import Office, require_own
from radkeep.app.boot import Child, Ready, start
from radkeep.app.channel import Message
from radkeep.app.sandboxes import Sandboxes
from radkeep.app.unlocked import Unlocked
from radkeep.archive.keylog import Entry
from radkeep.domain.errors import IntegrityError, RadkeepError, UnavailableError

DOORS: Final = ("dimse", "web")
START_DEADLINE: Final = 120.0  # seconds; a replay of a full volume is far below
STOP_DEADLINE: Final = 15.0  # seconds until a process is killed
MAX_RESTARTS: Final = 5  # of one door in a row that never became ready
_log = structlog.get_logger()


class Supervisor:
    """Runs one server. Call ``start``, then ``run``; ``stop`` from a signal handler."""

    def __init__(self, unlocked: Unlocked, sandboxes: Sandboxes) -> None:
        self._unlocked = unlocked
        self._sandboxes = sandboxes
        self._office = Office(unlocked)
        self._selector = selectors.DefaultSelector()
        self._keeper: Child | None = None
        self._doors: dict[str, Child] = {}
        self._ports: dict[str, int] = {}  # where doors answer, also after they were started again
        self._stopping = False
        self._failure = ""  # why the server ends though nobody asked it to
        self._wake, self._woken = socket.socketpair()
        self._woken.settimeout(0)
        self._wake.settimeout(0)

    def start(self) -> dict[str, Ready]:
        """Start every process and return what each door says of itself.

        Raises:
            UnavailableError: a process did not start; all that did are stopped.
        """
        signal.set_wakeup_fd(self._wake.fileno())
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGINT, lambda *_: None)
        self._selector.register(self._woken, selectors.EVENT_READ, self._signaled)
        self._watch_sandbox()
        try:
            self._keeper = start("keeper", self._unlocked.keeper_boot(), lock=self._unlocked.lock)
            self._await(self._keeper)
            for name in DOORS:
                self._spawn(name)
            return {name: self._await(self._doors[name]) for name in DOORS}
        except RadkeepError:
            self.stop()
            raise

    def watch(self, descriptor: int, action: Callable[[], None]) -> None:
        """Call ``action`` whenever ``descriptor`` can be read while the server runs."""
        self._selector.register(descriptor, selectors.EVENT_READ, action)

    def unwatch(self, descriptor: int) -> None:
        """Undo ``watch``."""
        self._selector.unregister(descriptor)

    def run(self) -> None:
        """Serve the processes until a signal.

        Raises:
            UnavailableError: the keeper ended, or a door cannot be started again.
        """
        while not self._stopping:
            self._turn(None)
        self.stop()
        if self._failure:
            raise UnavailableError(self._failure)

    def stop(self) -> None:
        """End the doors, then the keeper, and wait for each."""
        self._stopping = True
        for child in self._doors.values():
            child.process.terminate()
        for child in self._doors.values():
            self._drain_until_exit(child)
        if self._keeper is not None:
            self._keeper.end.close()  # hanging up tells it to finish
            _wait(self._keeper)
        self._doors.clear()

    def _spawn(self, name: str) -> None:
        if self._keeper is None:
            raise UnavailableError("the keeper is not running")
        ours, theirs = channel.pair()
        keeper.give(self._keeper.end, name, ours)
        ours.close()
        boot = self._office.door_boot(name)
        config = boot.config.with_server(**{f"{each}_port": n for each, n in self._ports.items()})
        boot = msgspec.structs.replace(boot, config=config)
        decoding = self._sandboxes.channel(name)
        self._doors[name] = start(name, boot, theirs, decoding, lock=self._unlocked.lock)

    def _await(self, child: Child) -> Ready:
        """Return the process's notice; keyring requests that come before it are served."""
        name = child.name
        while True:
            child.end.settimeout(START_DEADLINE)
            try:
                message = channel.receive(child.end)
            except TimeoutError:
                raise UnavailableError(f"the {name} process does not answer") from None
            finally:
                child.end.settimeout(None)
            if message is None:
                raise UnavailableError(f"the {name} process ended while starting")
            if message.error:
                raise UnavailableError(message.error)
            if message.kind == "ready":
                self._watch(child)
                ready: Ready = channel.decode(message.body, Ready)
                self._ports |= ready.ports
                self._office.web_port = self._ports.get("web", self._office.web_port)
                return ready
            self._answer(child, message)

    def _watch(self, child: Child) -> None:
        self._selector.register(child.end, selectors.EVENT_READ, lambda: self._heard(child))

    def _watch_sandbox(self) -> None:
        self._selector.register(self._sandboxes, selectors.EVENT_READ, self._sandbox_heard)

    def _sandbox_heard(self) -> None:
        self._selector.unregister(self._sandboxes)  # another channel, once it was started again
        if self._sandboxes.heard():
            self._watch_sandbox()

    def _turn(self, timeout: float | None) -> None:
        for key, _ in self._selector.select(timeout):
            key.data()

    def _signaled(self) -> None:
        try:
            numbers = self._woken.recv(64)
        except BlockingIOError:
            return
        self._stopping = self._stopping or signal.SIGTERM in numbers or signal.SIGINT in numbers

    def _heard(self, child: Child) -> None:
        babbles = False
        try:
            message = channel.receive(child.end)
            if message is not None:
                self._answer(child, message)
                return
        except IntegrityError:
            babbles = True
            _log.exception("process.garbled", name=child.name)
        self._selector.unregister(child.end)
        child.end.close()
        status = _wait(child, kill=babbles)
        self._signaled()  # a terminal sends Ctrl-C to every process at once
        if self._stopping:
            return
        _log.error("process.ended", name=child.name, status=status)
        if child is self._keeper:
            self._fail("the keeper of the audit log ended")
        else:
            self._revive(child.name)

    def _fail(self, why: str) -> None:
        self._failure, self._stopping = why, True

    def _revive(self, name: str) -> None:
        for attempt in range(1, MAX_RESTARTS + 1):
            try:
                self._spawn(name)
                self._await(self._doors[name])
            except (UnavailableError, IntegrityError) as error:
                _log.error("process.restart-failed", name=name, attempt=attempt, error=str(error))
                _wait(self._doors[name], kill=True)
            else:
                _log.info("process.restarted", name=name, attempt=attempt)
                return
        self._fail(f"the {name} process does not start again")

    def _answer(self, child: Child, message: Message) -> None:
        """Append keys to the keyring, durable in file and mirror before the answer, or certify.

        Raises:
            IntegrityError: that was not a request for it.
        """
        if message.error:
            _log.error("process.failed", name=child.name, error=message.error)
            return
        if message.kind == "ready":  # it was asked to stop before it had started
            return
        require_own(child.name, message.kind)
        entries = None
        if message.kind == "append-keys":
            entries = channel.decode(message.body, list[Entry])
        try:
            if entries is not None:
                self._unlocked.append_study_keys(entries)
                answer = Message(message.id, "appended")
            else:
                told = self._office.answer(child.name, message.kind, message.body)
                answer = Message(message.id, message.kind, channel.body(told))
        except RadkeepError as error:
            answer = Message(message.id, "failed", error=str(error))
        try:
            channel.send(child.end, answer)
        except UnavailableError:
            _log.warning("supervisor.answer-lost", name=child.name)

    def _drain_until_exit(self, child: Child) -> None:
        """Serve a stopping door's last requests until it ends."""
        child.end.settimeout(STOP_DEADLINE)
        try:
            while (message := channel.receive(child.end)) is not None:
                self._answer(child, message)
        except (TimeoutError, OSError, IntegrityError):
            _log.warning("process.slow-to-stop", name=child.name)
        _wait(child)


def _wait(child: Child, *, kill: bool = False) -> int:
    """Return the exit status of ``child``, killed when it takes too long."""
    if kill:
        child.process.kill()
    try:
        return child.process.wait(STOP_DEADLINE)
    except subprocess.TimeoutExpired:
        child.process.kill()
        return child.process.wait()
