# SPDX-License-Identifier: Apache-2.0
"""The DIMSE process: the DICOM door over its house."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from radkeep.app.boot import DoorBoot, Ready
from radkeep.app.door import Door, taking
from radkeep.app.incidents import AuditWitness
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
    house, server = door.house, door.boot.config.server
    dimse = DimseServer(
        admission=house.people.devices,
        store=house.store,
        supports=is_storage,
        rooms=Rooms(
            finder=house.search,
            selector=house.selection,
            destinations=house.people.devices,
            committer=house.commitments,
        ),
        witness=AuditWitness(house.audit, house.clock),
    )
    async with dimse:
        ports = {}
        if server.dimse_port is not None:
            with taking(server.host, server.dimse_port):
                ports["dimse"] = await dimse.listen(server.host, server.dimse_port)
        yield Ready(ports=ports)
