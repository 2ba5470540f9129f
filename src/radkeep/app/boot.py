# SPDX-License-Identifier: Apache-2.0
"""What the supervisor tells a new process, and how it starts one.

Invariant: a process gets its secrets over its inherited channel alone: never by argument,
environment or file.
"""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

import msgspec

from radkeep.app import channel
from radkeep.app.channel import Message
from radkeep.config import Config

_KEPT: Final = ("PATH", "LANG", "LC_ALL", "TZ", "HOME", "PYTHONPATH", "COVERAGE_PROCESS_CONFIG")
# Freed buffers of pixel data stay in the process: page faults cost more than the copies.
_ALLOCATOR: Final = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
    "MALLOC_ARENA_MAX": "2",
}


class DoorBoot(msgspec.Struct, frozen=True, kw_only=True):
    """What a door needs: where the data lies, and the keys of its own work."""

    data: str
    config: Config
    keys: dict[str, bytes]  # keyring id (hexadecimal) to key: organizations
    catalog_key: bytes
    registry_key: bytes
    authority: bytes = b""  # certificate of our authority, PEM
    tls_certificate: bytes = b""  # PEM: what the door shows
    tls_key: bytes = b""  # PEM


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What a process answers when it serves."""

    ports: dict[str, int] = {}
    link: str = ""


@dataclass(slots=True)
class Child:
    """One process of ours."""

    name: str
    process: "subprocess.Popen[bytes]"
    end: socket.socket  # the supervisor's end of the channel


def start(name: str, boot: msgspec.Struct, *ends: socket.socket, lock: int | None = None) -> Child:
    """Start process ``name`` with ``boot`` and, besides its own channel, the sockets ``ends``.

    It holds ``lock`` until it ends, so that no other server begins while this one's processes,
    whose supervisor may have been killed, still write.
    """
    ours, theirs = channel.pair()
    descriptors = [theirs.fileno(), *(end.fileno() for end in ends)]
    environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "radkeep.app.process", name, *map(str, descriptors)],
        pass_fds=descriptors if lock is None else [*descriptors, lock],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment | _ALLOCATOR,
    )
    theirs.close()
    for end in ends:
        end.close()
    channel.send(ours, Message(0, "boot", channel.body(boot)))
    return Child(name, process, ours)
