# SPDX-License-Identifier: Apache-2.0
"""The DIMSE process: the DICOM door over its house."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from radkeep.app.admission import DoorAdmission
from radkeep.app.authority import TlsPair
from radkeep.app.boot import DoorBoot, Ready
from radkeep.app.dimse_tls import LOOK_SECONDS, DimseTls
from radkeep.app.door import Door, taking
from radkeep.app.incidents import AuditWitness
from radkeep.app.outward import Outward
from radkeep.app.renewal import LOOK_SECONDS as RENEWAL_SECONDS
from radkeep.app.renewal import Renewal, repeat
from radkeep.dicom.classes import is_storage
from radkeep.dimse.ports import Rooms
from radkeep.dimse.server import DimseServer


def serve(
    boot: DoorBoot, control: socket.socket, audit: socket.socket, decoding: socket.socket
) -> None:
    """Serve DICOM associations until asked to stop."""
    door = Door("dimse", boot, control, audit, decoding)
    door.serve(_listening(door))


@asynccontextmanager
async def _listening(door: Door) -> AsyncIterator[Ready]:
    house, boot, server = door.house, door.boot, door.boot.config.server
    tls = DimseTls(
        TlsPair(certificate=boot.tls_certificate, key=boot.tls_key),
        authority=boot.authority,
        revision=house.registry.devices.revision,
        pinned=house.people.certificates.pinned,
    )
    dimse = DimseServer(
        admission=DoorAdmission(house.people.devices),
        store=house.store,
        supports=is_storage,
        rooms=Rooms(
            finder=house.search,
            selector=house.selection,
            destinations=Outward(house.people.devices, tls.calling),
            committer=house.commitments,
        ),
        witness=AuditWitness(house.audit, house.clock, house.people.devices),
    )
    renewal = Renewal(door.office, "dimse", boot.tls_certificate, tls.show, house.clock)
    async with dimse, _repeating((LOOK_SECONDS, tls.look), (RENEWAL_SECONDS, renewal.look)):
        with taking(server.host, server.dimse_tls_port):
            port = await dimse.listen_tls(server.host, server.dimse_tls_port, tls.context)
        ports = {"dimse_tls": port}
        if server.dimse_port is not None:
            with taking(server.host, server.dimse_port):
                ports["dimse"] = await dimse.listen(server.host, server.dimse_port)
        yield Ready(ports=ports)


@asynccontextmanager
async def _repeating(*works: tuple[float, Callable[[], None]]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(repeat(seconds, work)) for seconds, work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
