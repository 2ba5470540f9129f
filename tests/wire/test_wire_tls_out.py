# SPDX-License-Identifier: Apache-2.0
"""Whom we call over TLS: only who proves to be it, and nothing is said to others."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from wire_tls import Pki

from radkeep.crypto.certificate_facts import facts_of
from radkeep.crypto.tls import calling_context
from radkeep.dimse.scu.calling import Caller
from radkeep.dimse.scu.echo import EchoScu
from radkeep.dimse.scu.links import Links
from radkeep.dimse.scu.proposal import PeerError
from radkeep.dimse.wire.commands import CommandField
from radkeep.domain.errors import UnavailableError
from radkeep.testing.dimse import Door, FakeDestinations, Place

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def door(open_door: Callable[..., Door], pki: Pki) -> Door:
    """A peer that listens with TLS and wants a certificate of us."""
    door = open_door()
    context = pki.context()
    door.port = door.loop.run(door.server.listen_tls("127.0.0.1", 0, lambda: context))
    return door


@pytest.fixture
def destinations(door: Door, pki: Pki) -> FakeDestinations:
    made = FakeDestinations(Place("RADKEEP", "localhost", door.port, tls=True))
    made.forbidden = {"127.0.0.1", "::1"}  # for plaintext
    made.known = {facts_of(pki.server.certificate).fingerprint}
    pem = pki.device().file.read_bytes()
    certificate, key = pem.split(b"-----BEGIN PRIVATE")
    made.calling = calling_context(certificate, b"-----BEGIN PRIVATE" + key)
    return made


def test_objects_go_out_whole_to_who_proves_itself(
    door: Door, destinations: FakeDestinations, instance: Callable[..., Any]
) -> None:
    sent = instance("1.2.3", size=3_000_000)
    place = destinations.places["RADKEEP"]
    with Caller(destinations).call("org", place, calling="US", contexts=[(CT, [EXPLICIT])]) as link:
        context = link.context(CT)
        data = memoryview(sent.data_set)
        pieces = [(data[:1_000_000], False), (data[1_000_000:], True)]
        command = link.command(CommandField.C_STORE, CT, "1.2.3")
        assert link.ask(context, command, pieces) == 0
        assert link.certificate in destinations.known
    assert [kept.data for kept in door.store.kept] == [sent.data_set]


def test_nothing_is_said_to_who_shows_another_certificate(
    door: Door, destinations: FakeDestinations, pki: Pki
) -> None:
    place = destinations.places["RADKEEP"]
    destinations.known = {pki.device().fingerprint}  # of the same authority, but another's
    with pytest.raises(PeerError, match="not registered for it"):
        EchoScu(destinations, ae_title="US").echo("org", place)
    assert door.admission.refused == []
    assert door.store.transfers == []


def test_who_speaks_no_tls_gets_nothing(destinations: FakeDestinations) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = Place("PLAIN", "127.0.0.1", listening.getsockname()[1], tls=True)
        destinations.places["PLAIN"] = place
        listening.settimeout(5)

        def answer() -> None:
            peer, _ = listening.accept()
            peer.recv(1_000)
            peer.sendall(b"\x03\0\0\0\0\x04\0\1\1\3")
            peer.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(PeerError, match="handshake"):
            EchoScu(destinations, ae_title="US").echo("org", place)
        thread.join()


def test_without_a_certificate_of_ours_nobody_is_called(destinations: FakeDestinations) -> None:
    destinations.calling = None
    with pytest.raises(UnavailableError):
        EchoScu(destinations, ae_title="US").echo("org", destinations.places["RADKEEP"])


def test_a_waiting_association_ends_when_its_certificate_is_revoked(
    door: Door, destinations: FakeDestinations
) -> None:
    links = Links(destinations, linger=30)
    place = destinations.places["RADKEEP"]
    contexts = [(CT, [EXPLICIT])]
    terms: dict[str, Any] = {"calling": "US", "contexts": contexts}
    first, used = links.take("org", place, stop=lambda: False, **terms)
    assert not used
    links.give("org", place, "US", first)
    again, used = links.take("org", place, stop=lambda: False, **terms)
    assert used
    assert again is first
    links.give("org", place, "US", again)
    destinations.known = set()
    with pytest.raises(PeerError):
        links.take("org", place, stop=lambda: False, **terms)
    links.close()
    assert door.store.kept == []


@pytest.fixture
def storescp(pki: Pki, tmp_path: Path) -> Iterator[int]:
    """DCMTK's provider with TLS, which wants our certificate; its port."""
    path = shutil.which("storescp", path="/usr/bin:/usr/local/bin")
    if path is None:
        pytest.skip("DCMTK's storescp is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    file = pki.folder / "modality.pem"
    file.write_bytes(pki.device("ARCHIVE").file.read_bytes())
    words = [
        path,
        "+tls",
        str(file),
        str(file),
        "+cf",
        str(pki.ca),
        "-od",
        str(tmp_path),
        str(port),
    ]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            continue
        break
    yield port
    process.terminate()
    process.wait(10)


def test_dcmtk_as_destination(
    storescp: int,
    destinations: FakeDestinations,
    pki: Pki,
    tmp_path: Path,
    instance: Callable[..., Any],
) -> None:
    place = Place("ARCHIVE", "127.0.0.1", storescp, tls=True)
    destinations.places["ARCHIVE"] = place
    destinations.known = {facts_of((pki.folder / "modality.pem").read_bytes()).fingerprint}
    EchoScu(destinations, ae_title="US").echo("org", place)
    sent = instance("1.2.3", size=300_000)
    with Caller(destinations).call("org", place, calling="US", contexts=[(CT, [EXPLICIT])]) as link:
        command = link.command(CommandField.C_STORE, CT, "1.2.3")
        assert link.ask(link.context(CT), command, [(memoryview(sent.data_set), True)]) == 0
    assert len(list(tmp_path.iterdir())) == 1
    assert destinations.calling is not None
    assert destinations.calling.verify_mode is ssl.CERT_NONE  # the fingerprint decides
