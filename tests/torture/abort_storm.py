# SPDX-License-Identifier: Apache-2.0
"""Peers that associate and abort, by the hundred thousand and from several addresses.

Invariant tested: each costs the server nothing that lasts: its memory grows by less than 5 %, and
the next association works.

    python tests/torture/abort_storm.py [--aborts 100000]
"""

import argparse
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

from torture_clinic import (
    CT,
    DEVICE,
    EXPLICIT,
    IMPLICIT,
    Association,
    founded,
    instance,
    processes,
)

import rawsend  # torture_clinic knows where it is
from radkeep.testing.server import Installation, Server, serving

SOURCES: Final = tuple(f"127.0.0.{n}" for n in range(2, 10))
MOST_GROWTH: Final = 0.05
TOGETHER: Final = 4  # at a time
ABORTS: Final = 100_000
WARM_UP: Final = 10_000  # aborts until caches and heaps have the size they keep
DEVICES: Final = (DEVICE, "STORM1", "STORM2")
_CROWD: Final = 30  # associations of each device at once: more segments than the pool keeps
UID: Final = "1.2.826.0.1.3680043.8.498.94.1.1.1"
CONTEXTS: Final = [("1.2.840.10008.1.1", IMPLICIT), (CT, EXPLICIT)]
_REQUEST: Final = rawsend._request(CONTEXTS, DEVICE, "RADKEEP", 1)
_ABORT: Final = struct.pack(">BxI", 7, 4) + bytes(4)
_MESSAGE: Final = rawsend.message(3, 1, instance(UID, bytes(20_000)), 16_384)
_RESET: Final = struct.pack("ii", 1, 0)


def _answered(peer: socket.socket) -> None:
    head = peer.recv(6, socket.MSG_WAITALL)
    assert head[:1] == b"\2", f"not accepted: {head.hex()}"
    peer.recv(int.from_bytes(head[2:], "big"), socket.MSG_WAITALL)


def _at_once(peer: socket.socket) -> None:
    peer.sendall(_REQUEST + _ABORT)


def _associated(peer: socket.socket) -> None:
    peer.sendall(_REQUEST)
    _answered(peer)
    peer.sendall(_ABORT)
    assert peer.recv(1) == b""  # AA-2: the server closes


def _in_a_message(peer: socket.socket) -> None:
    peer.sendall(_REQUEST)
    _answered(peer)
    peer.sendall(_MESSAGE[:17_000])
    peer.sendall(_ABORT)  # in the middle of a PDU: it is data, and the connection ends inside it


def _between_fragments(peer: socket.socket) -> None:
    peer.sendall(_REQUEST)
    _answered(peer)
    command = 6 + int.from_bytes(_MESSAGE[2:6], "big")
    first = 6 + int.from_bytes(_MESSAGE[command + 2 : command + 6], "big")
    peer.sendall(_MESSAGE[: command + first] + _ABORT)
    assert peer.recv(1) == b""


def _half_a_request(peer: socket.socket) -> None:
    peer.sendall(_REQUEST[:90])


KINDS: Final = (
    _associated,
    _at_once,
    _between_fragments,
    _associated,
    _in_a_message,
    _half_a_request,
)


def storm(port: int, aborts: int, first: int = 0) -> None:
    """Abort ``aborts`` associations with the server at ``port``, one after the other."""
    for number in range(first, first + aborts):
        source = SOURCES[number % len(SOURCES)]
        with socket.create_connection(("127.0.0.1", port), 30, source_address=(source, 0)) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            KINDS[number // len(SOURCES) % len(KINDS)](peer)
            # No TIME_WAIT of ours, or the ports of an address are gone after 28,000.
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def fill_pools(port: int) -> None:
    """Use more receive segments at once than the server keeps, so that it keeps its most."""
    large = rawsend.message(3, 1, instance(UID, bytes(600_000)), 262_144)[:520_000]
    with ExitStack() as stack:
        for number in range(_CROWD * len(DEVICES)):
            calling = DEVICES[number % len(DEVICES)]
            address = ("127.0.0.1", port)
            source = SOURCES[number % len(SOURCES)]  # one address may not have them all
            link = Association(address, CONTEXTS, calling=calling, source=source)
            stack.callback(link.socket.close)
            link.socket.sendall(large)


def _pass_over(server: Server, count: int, *, together: int, first: int = 0) -> None:
    share = max(1, count // together)
    with ThreadPoolExecutor(together) as pool:
        starts = range(first, first + share * together, share)
        list(pool.map(partial(storm, server.dimse, share), starts))


def memory(server: Server) -> dict[str, int]:
    """Return the KiB that each process of ``server`` has of its own."""
    found = {}
    for name, pid in processes(server).items():
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        lines = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
        found[name] = sum(int(lines[f"Private_{kind}"].split()[0]) for kind in ("Clean", "Dirty"))
    return found


def works(server: Server) -> bool:
    """Tell whether an echo and a store succeed, and how soon they do is under a second."""
    began = time.monotonic()
    link = Association(("127.0.0.1", server.dimse), CONTEXTS, calling=DEVICE)
    said = link.echo(), link.store(instance(UID, bytes(20_000)))
    link.release()
    return said == (0, 0) and time.monotonic() - began < 1


def clinic(folder: Path) -> Installation:
    """Found a clinic with the devices of the storm."""
    installation = founded(folder, passphrase=False)
    for title in DEVICES[1:]:
        installation.run("device", "add", title, "--from", "127.0.0.0/8", "--allow", "store")
    return installation


def endured(
    server: Server, aborts: int, *, warm_up: int, say: Callable[[str], None] = lambda _: None
) -> tuple[dict[str, int], dict[str, int]]:
    """Let a storm pass over ``server``; return its memory before and after."""
    fill_pools(server.dimse)
    _pass_over(server, warm_up, together=TOGETHER)
    assert works(server)
    before, began = memory(server), time.monotonic()
    step = max(TOGETHER, aborts // 10)
    for done in range(step, aborts + 1, step):
        _pass_over(server, step, together=TOGETHER, first=done)
        rate = done / (time.monotonic() - began)
        sizes = ", ".join(f"{name} {size:,}" for name, size in memory(server).items())
        say(f"{done:>8,} aborts, {rate:,.0f}/s, KiB: {sizes}")
    assert works(server)
    return before, memory(server)


def main() -> int:
    """Run the storm and judge it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--aborts", type=int, default=ABORTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rk-") as folder:
        installation = clinic(Path(folder))
        with serving(installation) as server:
            before, after = endured(server, options.aborts, warm_up=WARM_UP, say=print)
    for name, size in before.items():
        print(f"{name:12} {size:>9,} KiB before, {after[name]:>9,} KiB after")
    growth = sum(after.values()) / sum(before.values()) - 1
    dimse = after["dimse"] / before["dimse"] - 1
    print(f"growth: {growth:+.2%} in all, {dimse:+.2%} in dimse; allowed {MOST_GROWTH:.0%}")
    return 0 if max(growth, dimse) < MOST_GROWTH else 1


if __name__ == "__main__":
    raise SystemExit(main())
