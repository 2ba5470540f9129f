# SPDX-License-Identifier: Apache-2.0
"""What every door process does around its door: channels, house, readiness, the end.

Invariant: a door says "ready" only after its house has replayed what a predecessor left and its
listeners answer; it ends when the supervisor hangs up or asks it to, and when the keeper hangs up,
since without it no deed can be audited.
"""

import asyncio
import errno
import gc
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final

import uvloop
from msgspec import Raw

from radkeep.app.audit_client import KeeperLog
from radkeep.app.authority import RemoteOffice
from radkeep.app.boot import DoorBoot, Ready
from radkeep.app.channel import Client
from radkeep.app.house import Foundation, House
from radkeep.app.layout import Layout
from radkeep.app.unlocked import mirror
from radkeep.archive.keylog import Entry
from radkeep.archive.keyring import Keyring
from radkeep.audit.events import EventId, EventType, event_by
from radkeep.domain.errors import ConfigError
from radkeep.identity.actors import system
from radkeep.sandbox.client import Sandbox
from radkeep.sandbox.decoder import SandboxDecoder

_YOUNG: Final = 20_000  # objects made before the collector looks at them: some 50 instances


@contextmanager
def taking(host: str, port: int) -> Iterator[None]:
    """Say in our words that a port cannot be had.

    Raises:
        ConfigError: it is taken, not allowed, or ``host`` is not an address of this machine.
    """
    try:
        yield
    except OSError as error:
        number = error.errno or 0  # of a host name that means nothing, it is not one of errno
        reason = os.strerror(number) if number in errno.errorcode else "no such address"
        advice = "; name another port" if number == errno.EADDRINUSE else ""
        raise ConfigError(f"cannot listen at {host}, port {port}: {reason}{advice}") from error


class Door:
    """One door process: its channels and its house."""

    def __init__(
        self,
        name: str,
        boot: DoorBoot,
        control: socket.socket,
        audit: socket.socket,
        decoding: socket.socket,
    ) -> None:
        self.boot: Final = boot
        self.control: Final = Client(control, "supervisor")
        self.keeper: Final = Client(audit, "keeper")
        self.office: Final = RemoteOffice(self.control, boot.authority)
        self._name = name
        self._sandbox = Sandbox(decoding)
        layout = Layout(Path(boot.data))
        self.layout: Final = layout
        keyring = Keyring.open(
            layout.keyring,
            mirror(layout, boot.config.keys),
            known={bytes.fromhex(key_id): key for key_id, key in boot.keys.items()},
        )
        self.house: Final = House(
            Foundation(
                layout=layout,
                config=boot.config,
                keyring=keyring,
                append_keys=self._append_keys,
                catalog_key=boot.catalog_key,
                registry_key=boot.registry_key,
                audit=KeeperLog(self.keeper),
                decoder=SandboxDecoder(self._sandbox),
                process=name,
                authority=self.office if name == "web" else None,
            )
        )

    def serve(self, listening: AbstractAsyncContextManager[Ready]) -> None:
        """Open the door, say that it is open, and close it in order when asked to."""
        self._tell(EventType.APPLICATION_START)
        uvloop.run(self._serve(listening))
        self.house.close()
        self._sandbox.close()
        self._tell(EventType.APPLICATION_STOP)  # after all that closing has to tell
        self.keeper.close()

    async def _serve(self, listening: AbstractAsyncContextManager[Ready]) -> None:
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked.set)

        def hung_up() -> None:
            with suppress(RuntimeError):  # the loop has ended before its peers
                loop.call_soon_threadsafe(asked.set)

        self.control.when_gone(hung_up)
        self.keeper.when_gone(hung_up)
        async with listening as ready:
            _settle_garbage()
            self.control.notify("ready", ready)
            await asked.wait()

    def _append_keys(self, entries: Sequence[Entry]) -> "Future[None]":
        done: Future[None] = Future()

        def settle(answer: "Future[Raw]") -> None:
            error = answer.exception()
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        self.control.request("append-keys", list(entries)).add_done_callback(settle)
        return done

    def _tell(self, kind: EventType) -> None:
        self.house.audit.append(
            event_by(
                system(self._name),
                EventId.APPLICATION_ACTIVITY,
                time=self.house.clock.now(),
                type=kind,
            )
        )


def _settle_garbage() -> None:
    """Leave alone what lives as long as the process, and look at the rest less often.

    What is made for one instance is freed by its last reference; cycles are rare.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
