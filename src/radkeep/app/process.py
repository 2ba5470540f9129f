# SPDX-License-Identifier: Apache-2.0
"""Entry of every process but the supervisor: ``python -m radkeep.app.process NAME FD...``.

Invariant: a process hardens itself before it reads its keys.
"""

import importlib
import socket
import sys
from typing import Final

import structlog

from radkeep.app import channel
from radkeep.app.boot import DoorBoot
from radkeep.app.channel import Message
from radkeep.app.hardening import harden
from radkeep.app.keeper import Boot, Keeper
from radkeep.app.logs import configure_logs
from radkeep.domain.errors import RadkeepError, UnavailableError

_DOORS: Final = {"dimse": "radkeep.app.dimse_process", "web": "radkeep.app.web_process"}


def main() -> int:
    """Run the process that the supervisor asked for; return its exit status."""
    name, *descriptors = sys.argv[1:]
    harden(child=True)
    configure_logs(name)
    ends = [socket.socket(fileno=int(descriptor)) for descriptor in descriptors]
    message = channel.receive(ends[0])
    if message is None:
        return 1
    try:
        _serve(name, message, ends)
    except RadkeepError as error:
        structlog.get_logger().exception("process.failed", code=error.code)
        try:
            channel.send(ends[0], Message(0, "failed", error=str(error)))
        except UnavailableError:
            return 2  # the supervisor went first
        return 1
    return 0


def _serve(name: str, message: Message, ends: list[socket.socket]) -> None:
    if name == "keeper":
        Keeper(ends[0], channel.decode(message.body, Boot)).run()
        return
    boot = channel.decode(message.body, DoorBoot)
    door = importlib.import_module(_DOORS[name])  # each process loads its own door only
    door.serve(boot, *ends)


if __name__ == "__main__":
    sys.exit(main())
