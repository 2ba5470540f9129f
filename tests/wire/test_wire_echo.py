# SPDX-License-Identifier: Apache-2.0
"""We call others: pynetdicom and DCMTK's storescp answer our C-ECHO, or do not."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pynetdicom import AE, evt

from radkeep.dimse.scu.echo import EchoScu
from radkeep.dimse.scu.proposal import PeerError
from radkeep.domain.errors import ForbiddenError
from radkeep.testing.dimse import Door, FakeDestinations, Place

VERIFICATION, CT = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"


@contextmanager
def peer(*classes: str, status: int = 0, strict: bool = False) -> Iterator[Place]:
    ae = AE(ae_title="PACS2")
    ae.require_called_aet = strict
    ae.require_calling_aet = ["SOMEONE"] if strict else []
    for name in classes:
        ae.add_supported_context(name)
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, lambda _: status)]
    )
    try:
        yield Place("PACS2", "127.0.0.1", server.socket.getsockname()[1])
    finally:
        server.shutdown()


def call(place: Place, destinations: FakeDestinations | None = None) -> None:
    EchoScu(destinations or FakeDestinations(), ae_title="RADKEEP").echo("org", place)


def test_pynetdicom_hears_us() -> None:
    with peer(VERIFICATION) as place:
        call(place)


def test_a_status_is_no_success() -> None:
    with peer(VERIFICATION, status=0x0122) as place, pytest.raises(PeerError, match="0122"):
        call(place)


def test_a_peer_without_verification() -> None:
    with peer(CT) as place, pytest.raises(PeerError):
        call(place)


def test_a_peer_that_does_not_know_us() -> None:
    with peer(VERIFICATION, strict=True) as place, pytest.raises(PeerError, match="1/1/3"):
        call(place)


def test_a_closed_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PeerError, match="cannot be reached"):
        call(Place("PACS2", "127.0.0.1", port))


def test_no_word_in_plaintext_where_no_zone_allows_it() -> None:
    destinations = FakeDestinations()
    destinations.forbidden.add("127.0.0.1")
    with peer(VERIFICATION) as place, pytest.raises(ForbiddenError):
        call(place, destinations)


def test_we_hear_ourselves(door: Door) -> None:
    call(Place("RADKEEP", *door.address))


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_storescp_hears_us(tmp_path: Path) -> None:
    tool = shutil.which("storescp", path="/usr/bin:/usr/local/bin")
    if tool is None:
        pytest.skip("DCMTK's storescp is not installed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with subprocess.Popen([tool, "-od", str(tmp_path), str(port)]) as process:
        try:
            while not listening(port):
                assert process.poll() is None
                threading.Event().wait(0.05)
            call(Place("STORESCP", "127.0.0.1", port))
        finally:
            process.terminate()
