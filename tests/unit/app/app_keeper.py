# SPDX-License-Identifier: Apache-2.0
"""A real keeper process, and channels to it as the doors have them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from radkeep.app import channel, keeper
from radkeep.app.audit_client import KeeperLog
from radkeep.app.boot import Child, start
from radkeep.app.channel import Client
from radkeep.audit.reader import LogEntry, LogReader
from radkeep.crypto.sign import SigningKey

SIGNING, PAYLOAD = b"s" * 32, b"p" * 32
DEADLINE = 20.0  # seconds


def boot(directory: Path) -> keeper.Boot:
    """Return what the keeper of ``directory`` is told."""
    return keeper.Boot(directory=str(directory), signing_key=SIGNING, payload_key=PAYLOAD)


def reader(directory: Path) -> LogReader:
    """Return a reader of the same log."""
    return LogReader(directory, PAYLOAD, SigningKey.from_bytes(SIGNING).public)


@dataclass
class Kept:
    """A running keeper."""

    directory: Path
    child: Child
    clients: list[Client] = field(default_factory=list)

    def end(self, name: str) -> socket.socket:
        """Return a raw channel to the keeper under ``name``."""
        ours, theirs = channel.pair()
        keeper.give(self.child.end, name, theirs)
        theirs.close()
        ours.settimeout(DEADLINE)
        return ours

    def client(self, name: str) -> Client:
        """Return a client whose requests come under ``name``."""
        end = self.end(name)
        end.settimeout(None)
        self.clients.append(Client(end, name))
        return self.clients[-1]

    def log(self, name: str) -> KeeperLog:
        """Return the audit log as the process ``name`` sees it."""
        return KeeperLog(self.client(name))

    def entries(self) -> list[LogEntry]:
        """Return what is on disk."""
        return list(reader(self.directory).read())

    def stop(self) -> int:
        """Hang up as the supervisor does, and return the exit status."""
        self.child.end.close()
        return self.child.process.wait(DEADLINE)


@contextmanager
def keeping(directory: Path) -> Iterator[Kept]:
    """Run a keeper of ``directory``."""
    child = start("keeper", boot(directory))
    kept = Kept(directory, child)
    try:
        child.end.settimeout(DEADLINE)
        message = channel.receive(child.end)
        assert message is not None, "the keeper did not start"
        assert message.kind == "ready"
        yield kept
    finally:
        for client in kept.clients:
            client.close()
        child.end.close()
        if child.process.poll() is None:
            try:
                child.process.wait(DEADLINE)
            finally:
                child.process.kill()
                child.process.wait()
