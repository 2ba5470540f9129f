# SPDX-License-Identifier: Apache-2.0
"""What every door process does around its door: channels, house, readiness, the end.

Invariant: a door says "ready" only after its house has replayed what a predecessor left and its
listeners answer; it ends when the supervisor hangs up or asks it to.
"""

import asyncio
import signal
import socket
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

import uvloop
from msgspec import Raw

from radkeep.app.audit_client import KeeperLog
from radkeep.app.boot import DoorBoot, Ready
from radkeep.app.channel import Client
from radkeep.app.house import Foundation, House
from radkeep.app.layout import Layout
from radkeep.app.unlocked import mirror
from radkeep.archive.keylog import Entry
from radkeep.archive.keyring import Keyring
from radkeep.audit.events import EventId, EventType, event_by
from radkeep.identity.actors import system


class Door:
    """One door process: its channels and its house."""

    def __init__(
        self, name: str, boot: DoorBoot, control: socket.socket, audit: socket.socket
    ) -> None:
        self.boot: Final = boot
        self.control: Final = Client(control, "supervisor")
        self.keeper: Final = Client(audit, "keeper")
        self._name = name
        layout = Layout(Path(boot.data))
        self.layout: Final = layout
        keyring = Keyring.open(
            layout.keyring,
            mirror(layout, boot.config.keys),
            known={bytes.fromhex(key_id): key for key_id, key in boot.keys.items()},
        )
        self.house: Final = House(
            Foundation(
                data=layout.data,
                config=boot.config,
                keyring=keyring,
                append_keys=self._append_keys,
                catalog_key=boot.catalog_key,
                registry_key=boot.registry_key,
                audit=KeeperLog(self.keeper),
                process=name,
            )
        )

    def serve(self, listening: AbstractAsyncContextManager[Ready]) -> None:
        """Open the door, say that it is open, and close it in order when asked to."""
        self._tell(EventType.APPLICATION_START)
        uvloop.run(self._serve(listening))
        self._tell(EventType.APPLICATION_STOP)
        self.house.close()
        self.keeper.close()

    async def _serve(self, listening: AbstractAsyncContextManager[Ready]) -> None:
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked.set)
        self.control.when_gone(lambda: loop.call_soon_threadsafe(asked.set))
        async with listening as ready:
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
