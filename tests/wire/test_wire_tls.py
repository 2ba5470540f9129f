# SPDX-License-Identifier: Apache-2.0
"""DICOM over TLS: what comes through is whole and proved, and who cannot prove costs little."""

import os
import shutil
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification
from wire_tls import Holder, Pki, details, old, only

from radkeep.dimse.handshakes import Fault
from radkeep.testing.dimse import Door

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
ECHO = "1.2.840.10008.1.1"
CONTEXTS = [(CT, EXPLICIT), (ECHO, EXPLICIT)]
SOON = 10.0  # seconds until what must happen has happened


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def device(pki: Pki) -> Holder:
    return pki.device()


@pytest.fixture
def open_tls(open_door: Callable[..., Door], pki: Pki) -> Iterator[Callable[..., Door]]:
    """Return a function that starts a server whose port speaks TLS."""

    def start(*pinned: bytes, **settings: object) -> Door:
        door = open_door(**settings)
        context = pki.context(*pinned)
        door.port = door.loop.run(door.server.listen_tls("127.0.0.1", 0, lambda: context))
        return door

    return start


@pytest.fixture
def door(open_tls: Callable[..., Door]) -> Door:
    return open_tls()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end


def shake(door: Door, context: ssl.SSLContext) -> bytes:
    """Return what the server says after a handshake, up to its end."""
    with (
        socket.create_connection(door.address, SOON) as peer,
        context.wrap_socket(peer, server_hostname="localhost") as link,
    ):
        return link.recv(1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_is_sent_arrives_whole_and_proved(
    door: Door,
    pki: Pki,
    device: Holder,
    associate: Callable[..., Any],
    instance: Callable[..., Any],
    version: ssl.TLSVersion,
) -> None:
    context = pki.client(device)
    context.minimum_version = context.maximum_version = version
    link = associate(door, CONTEXTS, tls=context, window=8)
    sent = [instance(f"1.2.{n}", size=size) for n, size in enumerate((10, 20_000, 3_000_000, 500))]
    for each in sent:
        assert link.store(each) == 0
    assert link.echo() == 0
    link.release()
    assert [kept.data for kept in door.store.kept] == [each.data_set for each in sent]
    assert door.admission.certificates == [device.fingerprint]


def test_many_at_once_and_slow_ingest_hold_back_the_peer(
    door: Door,
    pki: Pki,
    device: Holder,
    associate: Callable[..., Any],
    instance: Callable[..., Any],
    rawsend: ModuleType,
) -> None:
    link = associate(door, CONTEXTS, tls=pki.client(device), window=16)
    sent = [instance(f"1.2.{n}", size=2_000_000) for n in range(14)]
    messages = b"".join(rawsend.message(1, n + 1, each, 65_536) for n, each in enumerate(sent))
    door.store.feeding.clear()
    link.socket.settimeout(0.5)
    sender = memoryview(messages)
    with suppress(TimeoutError):
        while sender:
            sender = sender[link.socket.send(sender[:16_384]) :]
    assert sender, "28 megabytes fitted into buffers that are smaller"
    door.store.feeding.set()
    link.socket.settimeout(SOON)
    while sender:
        sender = sender[link.socket.send(sender[:16_384]) :]
    for _ in sent:
        assert link.response()[0x0900] == b"\0\0"
    assert [kept.data for kept in door.store.kept] == [each.data_set for each in sent]
    link.release()


@pytest.mark.parametrize(
    ("peer", "fault"),
    [
        (lambda pki: pki.client(), Fault.NO_CERTIFICATE),
        (lambda pki: pki.client(pki.foreign()), Fault.FOREIGN),
        (lambda pki: pki.client(pki.namesake()), Fault.FOREIGN),
        (lambda pki: pki.client(pki.signed()), Fault.FOREIGN),
        (lambda pki: pki.client(pki.expired()), Fault.EXPIRED),
        (lambda pki: pki.client(pki.early()), Fault.EARLY),
        (lambda pki: only(pki.client(), "ECDHE+AES+SHA1:ECDHE+SHA256:!AESGCM"), Fault.CIPHERS),
        (lambda pki: only(pki.client(), "kRSA+AESGCM"), Fault.CIPHERS),
    ],
    ids=[
        "none", "foreign", "namesake", "self-signed", "expired", "early", "cbc", "no-secrecy",
    ],
)  # fmt: skip
def test_who_proves_nothing_is_refused_by_tls(
    door: Door, pki: Pki, peer: Callable[[Pki], ssl.SSLContext], fault: Fault
) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - ssl.SSLError, or the connection is reset
        shake(door, peer(pki))
    until(lambda: door.witness.incidents)
    assert details(door.witness.incidents) == [fault]
    assert door.admission.certificates == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(door: Door, pki: Pki, version: ssl.TLSVersion) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = old(pki.client(), version)
    with pytest.raises(OSError):  # noqa: PT011
        shake(door, context)
    until(lambda: door.witness.incidents)
    assert details(door.witness.incidents) == [Fault.OLD]


def test_who_speaks_no_tls_is_told_apart(door: Door, rawsend: ModuleType) -> None:
    with pytest.raises((rawsend.AssociationError, OSError)):
        rawsend.Association(door.address, CONTEXTS)
    until(lambda: door.witness.incidents)
    assert details(door.witness.incidents) == [Fault.PLAIN]


def test_an_imported_certificate_is_trusted_for_itself_alone(
    open_tls: Callable[..., Door], pki: Pki, associate: Callable[..., Any]
) -> None:
    authority = pki.signed(ca=True)  # as openssl makes self-signed ones unless told otherwise
    modality, child, other = pki.signed(), pki.child_of(authority), pki.signed()
    door = open_tls(modality.der, authority.der)
    for holder in (modality, authority):
        associate(door, CONTEXTS, tls=pki.client(holder)).release()
    assert door.admission.certificates == [modality.fingerprint, authority.fingerprint]
    with pytest.raises(OSError):  # noqa: PT011
        shake(door, pki.client(other))
    # OpenSSL lets a child of an imported authority through: its own fingerprint must tell.
    associate(door, CONTEXTS, tls=pki.client(child)).release()
    assert door.admission.certificates[-1] == child.fingerprint


def test_silence_costs_a_descriptor_and_stalling_keeps_nobody_out(
    open_tls: Callable[..., Door], pki: Pki, device: Holder, associate: Callable[..., Any]
) -> None:
    door = open_tls(half_open=64)
    with ExitStack() as crowd:
        peers = [crowd.enter_context(socket.create_connection(door.address)) for _ in range(200)]
        gate = door.server._gate
        until(lambda: len(gate._silent) == 200)
        assert len(gate._half_open) == 0
        for peer in peers:
            peer.sendall(b"\x16")
        until(lambda: len(gate._half_open) == 64)
        began = time.monotonic()
        link = associate(door, CONTEXTS, tls=pki.client(device))
        assert link.echo() == 0
        assert time.monotonic() - began < 1
        link.release()
        until(lambda: door.witness.incidents)
    assert set(details(door.witness.incidents)) <= {"while half_open", Fault.LEFT}


def test_a_handshake_has_a_deadline(open_tls: Callable[..., Door], pki: Pki) -> None:
    door = open_tls(artim=0.3)
    with socket.create_connection(door.address, SOON) as peer:
        peer.sendall(bytes.fromhex("1603010200010001fc0303"))  # a ClientHello begins
        assert peer.recv(1) == b""
    context = pki.client(pki.device())  # a whole handshake, and then no request
    assert shake(door, context) == b""
    assert details(door.witness.incidents) == ["no association request in time"]


def test_one_byte_at_a_time_is_a_handshake_too(
    door: Door, pki: Pki, device: Holder, rawsend: ModuleType
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    link = pki.client(device).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(door.address, SOON) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def push() -> None:
            for byte in outgoing.read():
                peer.sendall(bytes([byte]))

        def pull(step: Callable[[], Any]) -> Any:  # noqa: ANN401
            while True:
                try:
                    found = step()
                except ssl.SSLWantReadError:
                    push()
                    incoming.write(peer.recv(65_536))
                else:
                    push()
                    return found

        pull(link.do_handshake)
        link.write(rawsend._request(CONTEXTS, "CT1", "RADKEEP", 1))
        push()
        assert pull(lambda: link.read(1)) == b"\2"  # A-ASSOCIATE-AC


def test_a_connection_cut_inside_a_message_leaves_nothing(
    door: Door,
    pki: Pki,
    device: Holder,
    associate: Callable[..., Any],
    instance: Callable[..., Any],
    rawsend: ModuleType,
) -> None:
    link = associate(door, CONTEXTS, tls=pki.client(device))
    link.socket.sendall(rawsend.message(1, 1, instance(size=500_000), 16_384)[:300_000])
    until(lambda: door.store.receptions)
    os.close(link.socket.detach())  # without a farewell, as an attacker would cut it
    until(lambda: door.store.receptions[0].ended == "abandoned")
    until(lambda: door.witness.incidents)
    assert details(door.witness.incidents) == ["the connection ends inside a message"]


def test_a_forged_record_ends_the_connection(
    door: Door, pki: Pki, device: Holder, rawsend: ModuleType, instance: Callable[..., Any]
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    link = pki.client(device).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(door.address, SOON) as peer:

        def pull(step: Callable[[], Any]) -> Any:  # noqa: ANN401
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    peer.sendall(outgoing.read())
                    incoming.write(peer.recv(65_536))

        pull(link.do_handshake)
        link.write(rawsend._request(CONTEXTS, "CT1", "RADKEEP", 1))
        assert pull(lambda: link.read(4_096))[:1] == b"\2"
        link.write(rawsend.message(1, 1, instance(size=50_000), 16_384))
        forged = bytearray(outgoing.read())
        forged[20_000] ^= 1
        peer.sendall(forged)
        with suppress(OSError):
            while peer.recv(65_536):
                pass
    until(lambda: not door.server._gate.associated)
    assert door.store.kept == []
    assert [each.ended for each in door.store.receptions] in ([], ["abandoned"])


def test_a_release_ends_tls_in_order(
    door: Door, pki: Pki, device: Holder, associate: Callable[..., Any], rawsend: ModuleType
) -> None:
    link = associate(door, CONTEXTS, tls=pki.client(device))
    link.socket.sendall(rawsend._PDU.pack(5, 4) + bytes(4))
    assert link.receive()[0] == 6
    link.socket.suppress_ragged_eofs = False
    assert link.socket.recv(1) == b""  # close_notify: nobody cut us off
    assert door.witness.incidents == []


def test_a_rejection_comes_through(
    door: Door, pki: Pki, device: Holder, associate: Callable[..., Any], rawsend: ModuleType
) -> None:
    with pytest.raises(rawsend.AssociationError, match="1/1/3"):
        associate(door, CONTEXTS, called="WRONG", tls=pki.client(device))


def test_the_proved_hear_what_is_wrong_with_the_request(
    door: Door, pki: Pki, device: Holder, rawsend: ModuleType
) -> None:
    request = bytearray(rawsend._request(CONTEXTS, "CT1", "RADKEEP", 1))
    version, application = request.copy(), request.copy()
    version[7] = 2
    at = application.index(b"1.2.840.10008.3.1.1.1")
    application[at : at + 21] = b"1.2.840.10008.3.1.1.9"
    heard = []
    for each in (version, application):
        with (
            socket.create_connection(door.address, SOON) as peer,
            pki.client(device).wrap_socket(peer, server_hostname="localhost") as link,
        ):
            link.sendall(each)
            heard.append(link.recv(10)[-3:])
    assert heard == [bytes((1, 2, 2)), bytes((1, 1, 2))]  # PS3.8 Table 9-21


def test_some_associations_are_kept_for_who_has_a_certificate(
    open_tls: Callable[..., Door],
    pki: Pki,
    device: Holder,
    associate: Callable[..., Any],
    rawsend: ModuleType,
) -> None:
    door = open_tls(associations=4, reserved=1)
    plain = Door(
        door.loop.run(door.server.listen("127.0.0.1", 0)),
        door.server, door.store, door.admission, door.witness, door.loop,
    )  # fmt: skip
    links = [associate(plain, CONTEXTS, calling=f"P{n}") for n in range(3)]
    with pytest.raises(rawsend.AssociationError, match="2/3/2"):
        associate(plain, CONTEXTS, calling="P3")
    links.append(associate(door, CONTEXTS, tls=pki.client(device)))
    with pytest.raises(rawsend.AssociationError, match="2/3/2"):
        associate(door, CONTEXTS, tls=pki.client(device))
    for link in links:
        link.release()


def test_one_address_cannot_take_all_associations(
    open_door: Callable[..., Door], associate: Callable[..., Any], rawsend: ModuleType
) -> None:
    door = open_door(associations_per_source=2)
    links = [associate(door, CONTEXTS, calling=f"P{n}") for n in range(2)]
    with pytest.raises(rawsend.AssociationError, match="2/3/2"):
        associate(door, CONTEXTS, calling="P3")
    for link in links:
        link.release()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(min_size=1, max_size=600))
def test_any_bytes_are_a_refusal(door: Door, data: bytes) -> None:
    with socket.create_connection(door.address, SOON) as peer, suppress(ConnectionError):
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(4_096):
            pass
    assert door.admission.certificates == []


def _dcmtk(tool: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    path = shutil.which(tool, path="/usr/bin:/usr/local/bin")  # not pynetdicom's of that name
    if path is None:
        pytest.skip(f"DCMTK's {tool} is not installed")
    return subprocess.run(
        [path, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def _with(pki: Pki, holder: Holder) -> list[str]:
    return ["+tls", str(holder.file), str(holder.file), "+cf", str(pki.ca)]


def test_dcmtk_stores_and_echoes(door: Door, pki: Pki, device: Holder) -> None:
    files = [str(get_testdata_file(name)) for name in ("CT_small.dcm", "MR_small.dcm")]
    place = ("localhost", str(door.port))
    done = _dcmtk("echoscu", "-aec", "RADKEEP", *_with(pki, device), *place)
    assert done.returncode == 0, done.stderr
    done = _dcmtk("storescu", "-aec", "RADKEEP", *_with(pki, device), *place, *files)
    assert done.returncode == 0, done.stderr
    uids = [kept.sop_instance for kept in door.store.kept]
    assert uids == [dcmread(file).SOPInstanceUID for file in files]
    for stranger in (pki.foreign(), pki.expired()):
        done = _dcmtk("echoscu", "-aec", "RADKEEP", *_with(pki, stranger), *place)
        assert done.returncode != 0
    assert len(door.admission.certificates) == 2


def test_pynetdicom_stores_and_echoes(door: Door, pki: Pki, device: Holder) -> None:
    data_set = dcmread(get_testdata_file("CT_small.dcm"))
    entity = AE(ae_title="CT1")
    entity.add_requested_context(Verification)
    entity.add_requested_context(CTImageStorage, data_set.file_meta.TransferSyntaxUID)
    link = entity.associate(
        *door.address, ae_title="RADKEEP", tls_args=(pki.client(device), "localhost")
    )
    assert link.is_established
    assert link.send_c_echo().Status == 0
    assert link.send_c_store(data_set).Status == 0
    link.release()
    assert [kept.sop_instance for kept in door.store.kept] == [data_set.SOPInstanceUID]
