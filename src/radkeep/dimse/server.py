# SPDX-License-Identifier: Apache-2.0
"""The DICOM door: listens, serves, and shuts down in order.

Invariant: after ``close`` nothing is half stored and every answer that was given still holds; it
takes at most twice ``settings.grace``.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import structlog

from radkeep.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from radkeep.dimse.channel import Channel
from radkeep.dimse.commit_scp import CommitScp
from radkeep.dimse.courier import Finished, Outgoing
from radkeep.dimse.desk import Desk
from radkeep.dimse.find_scp import FindScp
from radkeep.dimse.gate import Gate
from radkeep.dimse.get_scp import GetScp
from radkeep.dimse.models import SYNTAXES, agree, field_of
from radkeep.dimse.move_scp import MoveScp
from radkeep.dimse.operations import Service
from radkeep.dimse.patrol import Patrol
from radkeep.dimse.ports import (
    Admission,
    Incident,
    Rooms,
    Store,
    Witness,
)
from radkeep.dimse.reporter import Reporter
from radkeep.dimse.settings import DimseSettings
from radkeep.dimse.store_scp import Note
from radkeep.dimse.tls import TlsLink
from radkeep.dimse.wire.commands import CommandField
from radkeep.dimse.wire.negotiation import VERIFICATION, Offer
from radkeep.dimse.worker import Outbox, Worker

_BACKLOG: Final = 4_096  # connections that the kernel keeps for us
_DOOR_THREADS: Final = 2  # decide about associations and record violations
_RECORDS: Final = 64  # incidents on their way to the audit log; beyond it they are only logged
_DRAIN_STEP: Final = 0.02  # seconds between looks at what is still under way

_log: Final = structlog.get_logger()


class DimseServer:
    """Serves DICOM associations between ``async with`` and its end."""

    def __init__(
        self,
        *,
        admission: Admission,
        store: Store[Any],
        supports: Callable[[str], bool],
        rooms: Rooms | None = None,
        settings: DimseSettings | None = None,
        witness: Witness | None = None,
    ) -> None:
        """Set up a server that listens nowhere yet.

        ``supports`` tells which storage SOP classes are taken, ``rooms`` which services there are
        besides; ``witness`` gets violations of the protocol.
        """
        self._settings = settings or DimseSettings()
        self._admission, self._store, self._witness = admission, store, witness
        behind = rooms or Rooms()
        self._services = _services(behind, self._settings)
        pulls = CommandField.C_GET in self._services
        self._offer = Offer(
            supports_as_scu=lambda uid: pulls and supports(uid),
            supports=lambda uid: uid == VERIFICATION or self._serves(uid) or supports(uid),
            readable=lambda uid: SYNTAXES if field_of(uid) else None,
            extends=agree,
            max_length=self._settings.max_length,
            window=self._settings.window,
            implementation_class=IMPLEMENTATION_CLASS_UID,
            implementation_version=IMPLEMENTATION_VERSION_NAME,
        )
        self._recording = 0
        self._servers: list[asyncio.Server] = []

    async def __aenter__(self) -> Self:
        loop = self._loop = asyncio.get_running_loop()
        self._outbox = Outbox[Note | Outgoing | Finished](loop)
        self._threads = ThreadPoolExecutor(_DOOR_THREADS, thread_name_prefix="dimse-door")
        self._operators = ThreadPoolExecutor(
            self._settings.associations, thread_name_prefix="dimse-operation"
        )
        self._gate = Gate(
            self._settings,
            loop,
            decide=lambda channel, request: self._desk.decide(self._gate, channel, request),
            record=self._record,
        )
        self._workers = [
            Worker(f"dimse-ingest-{n}", self._gate.pool) for n in range(self._settings.workers)
        ]
        self._desk = Desk(
            admission=self._admission,
            store=self._store,
            offer=self._offer,
            services=self._services,
            workers=self._workers,
            threads=self._threads,
            operators=self._operators,
            outbox=self._outbox,
        )
        self._patrol = Patrol(admission=self._admission, gate=self._gate, threads=self._threads)
        self._ticker = loop.create_task(self._tick())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def listen(self, host: str, port: int) -> int:
        """Accept plaintext connections at ``host``; return the port, chosen if ``port`` is 0."""
        return await self._listen(partial(Channel, self._gate), host, port, tls=False)

    async def listen_tls(self, host: str, port: int, context: Callable[[], ssl.SSLContext]) -> int:
        """Accept TLS connections at ``host``; return the port, chosen if ``port`` is 0.

        ``context`` is asked at the first byte of each connection, so that a renewed certificate
        and changed trust hold for the next one; it must demand a certificate of the peer.
        """
        gate = self._gate

        def protocol() -> TlsLink:
            return TlsLink(Channel(gate), context, gate.unshaken)

        return await self._listen(protocol, host, port, tls=True)

    async def _listen(
        self, protocol: Callable[[], asyncio.BaseProtocol], host: str, port: int, *, tls: bool
    ) -> int:
        server = await self._loop.create_server(protocol, host, port, backlog=_BACKLOG)
        self._servers.append(server)
        actual: int = server.sockets[0].getsockname()[1]
        _log.info("dimse.listening", host=host, port=actual, tls=tls, sealed=self._settings.sealed)
        return actual

    async def close(self) -> None:
        """Stop accepting, finish what is under way within ``settings.grace``, abort the rest."""
        if self._gate.closed:
            return
        for server in self._servers:
            server.close()
        self._gate.close()
        await self._desk.close()
        await self._drain()
        self._gate.end_all()
        self._ticker.cancel()
        await asyncio.gather(self._ticker, return_exceptions=True)
        await self._patrol.close()
        for worker in self._workers:
            if not await self._loop.run_in_executor(None, worker.stop, self._settings.grace):
                _log.error("dimse.worker.stuck")
        for service in self._services.values():
            if isinstance(service, CommitScp | MoveScp):
                await self._loop.run_in_executor(None, service.close)
        await self._loop.run_in_executor(None, self._operators.shutdown)
        self._outbox.close()
        await self._loop.run_in_executor(None, self._threads.shutdown)
        _log.info("dimse.closed")

    def _serves(self, sop_class: str) -> bool:
        return field_of(sop_class) in self._services

    async def _drain(self) -> None:
        deadline = self._loop.time() + self._settings.grace
        self._gate.end_idle()
        while self._gate.associated and self._loop.time() < deadline:
            await asyncio.sleep(_DRAIN_STEP)
            self._gate.end_idle()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._settings.tick)
            self._gate.sweep(self._loop.time())
            self._patrol.look(self._loop.time())

    def _record(self, incident: Incident) -> None:
        """Send an incident to the witness, unless that is far behind."""
        if self._witness is None or self._recording >= _RECORDS:
            return
        self._recording += 1
        future = self._loop.run_in_executor(self._threads, self._witness.record, incident)
        future.add_done_callback(self._recorded)

    def _recorded(self, future: asyncio.Future[None]) -> None:
        self._recording -= 1
        if not future.cancelled() and (error := future.exception()) is not None:
            _log.error("dimse.incident.unrecorded", exc_info=error)


def _services(rooms: Rooms, settings: DimseSettings) -> Mapping[int, Service]:
    """Return what answers which request."""
    services: dict[int, Service] = {}
    if rooms.finder is not None:
        services[CommandField.C_FIND] = FindScp(rooms.finder, cap=settings.found)
    if rooms.selector is not None:
        services[CommandField.C_GET] = GetScp(rooms.selector)
        if rooms.destinations is not None:
            services[CommandField.C_MOVE] = MoveScp(rooms.selector, rooms.destinations)
    if rooms.committer is not None:
        reporter = None
        if rooms.destinations is not None:
            reporter = Reporter(rooms.destinations, pauses=settings.report_pauses)
        services[CommandField.N_ACTION] = CommitScp(
            rooms.committer, reporter, answer=settings.report_answer
        )
    return services


async def serve(
    server: DimseServer,
    endpoints: Sequence[tuple[str, int]],
    stop: asyncio.Event,
    *,
    ready: Callable[[Sequence[int]], None] = lambda _: None,
) -> None:
    """Listen on ``endpoints``, tell ``ready`` the ports, and serve until ``stop`` is set."""
    async with server:
        ready([await server.listen(host, port) for host, port in endpoints])
        await stop.wait()
