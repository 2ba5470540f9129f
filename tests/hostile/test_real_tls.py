# SPDX-License-Identifier: Apache-2.0
"""Certificates at the doors of a real server: issued, imported, another's, revoked, renewed."""

import http.client
import json
import shutil
import socket
import ssl
import stat
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from corpus_house import House, Store
from cryptography import x509
from real_peers import CT, EXPLICIT, ROOT, data_set, processes, until_event
from wire_tls import Pki

import rawsend
from radkeep.crypto.certificate_facts import facts_of
from radkeep.crypto.certificates import fingerprint, new_key
from radkeep.identity.devices import TrueReason

CONTEXTS = [(CT, EXPLICIT), (rawsend.VERIFICATION, EXPLICIT)]
STALLED = 200
SOON = 5.0  # seconds: what is revoked is out by then

pytestmark = pytest.mark.xdist_group("real-tls")


@pytest.fixture(scope="module")
def store(house: House) -> Iterator[Store]:
    with house.empty() as store:
        yield store


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Certificates that are not the server's."""
    return Pki(tmp_path_factory.mktemp("foreign"))


def source(name: str) -> str:
    """Return an address of its own, since the audit log tells few refusals of one address apart."""
    return f"127.1.{zlib.crc32(name.encode()) % 250 + 1}.7"


class Device:
    """A registered device and its folder of certificates."""

    def __init__(self, store: Store, folder: Path, title: str) -> None:
        self.store, self.folder, self.title = store, folder, title
        self.path = f"/api/v1/devices/{title}"
        self.source = source(title)
        self.add()

    def add(self) -> None:
        operate(self.store, "POST", "/api/v1/devices", {"ae_title": self.title})

    def certify(self, name: str = "first") -> Path:
        """Issue a certificate and return its folder."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        key, public = new_key()
        made = operate(
            self.store, "POST", f"{self.path}/certificates", {"public_key": public.decode()}
        )
        (folder / "key.pem").write_bytes(key)
        (folder / "cert.pem").write_text(made["certificate"])
        (folder / "ca.pem").write_text(made["ca"])
        return folder

    def revoke(self, folder: Path | None = None) -> None:
        query = ""
        if folder is not None:
            query = "?fingerprint=" + facts_of((folder / "cert.pem").read_bytes()).fingerprint
        operate(self.store, "DELETE", f"{self.path}/certificates{query}")

    def associate(self, folder: Path, **options: Any) -> rawsend.Association:  # noqa: ANN401
        options.setdefault("calling", self.title)
        options.setdefault("source", self.source)
        return rawsend.Association(
            place(self.store), CONTEXTS, tls=rawsend._tls(folder), timeout=SOON, **options
        )


def operate(store: Store, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401
    """Return what the control socket answers to the host's operator, as a command would ask."""
    connection = http.client.HTTPConnection("localhost", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(store.installation.data / "run" / "control.sock"))
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status < 300, content
        return json.loads(content or b"null")
    finally:
        connection.close()


@pytest.fixture
def device(store: Store, tmp_path: Path, request: pytest.FixtureRequest) -> Device:
    """Return a new device for each test."""
    number = list(request.session.items).index(request.node)
    return Device(store, tmp_path, f"CT{number}")


def place(store: Store) -> tuple[str, int]:
    host, _, port = store.server.ready["dimse_tls"].rpartition(":")
    return host, int(port)


def refused(work: Callable[[], object]) -> str:
    """Return how a peer is refused: "rejected A/B/C", or "" if TLS or the network ends it."""
    try:
        work()
    except rawsend.AssociationError as error:
        return str(error)
    except OSError:
        return ""
    raise AssertionError("let in")


def pending(store: Store, title: str) -> str:
    """Return the true reason for which ``title`` was refused last; "" is who said no name."""
    end = time.monotonic() + SOON
    while True:
        found = store.operator("/api/v1/devices/pending")
        reasons = {each["ae_title"]: each["reason"] for each in found}
        if title in reasons:
            return str(reasons[title])
        assert time.monotonic() < end


def test_a_certificate_opens_the_door_and_its_key_stays_away(
    device: Device, store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "made"
    run = store.installation.run
    run("device", "certificate", device.title, "--out", str(folder))
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    assert (folder / "ca.pem").read_bytes() == (
        store.installation.data / "tls" / "ca.pem"
    ).read_bytes()
    link = device.associate(folder)
    assert link.echo() == 0
    instance = f"{ROOT}.{device.title.removeprefix('CT')}"
    assert link.store(rawsend.Instance(CT, instance, EXPLICIT, data_set(instance))) == 0
    link.release()
    found = store.get(f"/instances?SOPInstanceUID={instance}", "application/dicom+json")
    assert len(found.json()) == 1
    secret = (folder / "key.pem").read_bytes().splitlines()[1]
    for path in store.installation.data.rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes()


def test_another_devices_certificate_is_refused_with_the_true_reason(
    device: Device, store: Store, tmp_path: Path
) -> None:
    mine, other = device.certify(), Device(store, tmp_path / "other", f"X{device.title}")
    theirs = other.certify()
    assert refused(lambda: device.associate(theirs)) == "rejected 1/1/3"
    assert refused(lambda: device.associate(mine, called="WRONG")) == "rejected 1/1/7"
    until_event(store, reason=TrueReason.OTHER, address=device.source)
    until_event(store, reason=TrueReason.CALLED, address=device.source)
    assert pending(store, device.title) in {TrueReason.OTHER, TrueReason.CALLED}


@pytest.mark.parametrize("kind", ["none", "foreign", "expired"])
def test_who_has_no_certificate_of_ours_reaches_nothing(store: Store, pki: Pki, kind: str) -> None:
    context = ssl.create_default_context(cafile=store.installation.data / "tls" / "ca.pem")
    if kind != "none":
        context.load_cert_chain(getattr(pki, kind)().file)
    here = source(kind)
    assert (
        refused(lambda: rawsend.Association(place(store), CONTEXTS, tls=context, source=here)) == ""
    )
    until_event(store, address=here, type="110126")
    assert pending(store, "")  # nobody knows what it calls itself


def test_plaintext_on_the_tls_port_is_refused(store: Store) -> None:
    here = source("plain")
    heard = refused(lambda: rawsend.Association(place(store), CONTEXTS, source=here))
    assert heard in {"", "closed"}
    until_event(store, reason="it speaks no TLS", address=here)


def test_what_is_revoked_is_out_within_seconds_and_its_successor_stays(
    device: Device, store: Store
) -> None:
    old, new = device.certify("old"), device.certify("new")  # renewed: both hold
    links = [device.associate(folder) for folder in (old, new)]
    device.revoke(old)
    began = time.monotonic()
    with pytest.raises(rawsend.AssociationError, match="aborted 0/0"):
        links[0].receive()
    assert time.monotonic() - began < SOON
    links[0].socket.close()
    assert refused(lambda: device.associate(old)) == "rejected 1/1/3"
    assert links[1].echo() == 0
    links[1].release()
    device.associate(new).release()
    until_event(store, reason=TrueReason.REVOKED, address=device.source)
    until_event(store, violation="admission-withdrawn")
    until_event(store, deed="certificate.revoke", device=device.title, phase="outcome")


def test_a_removed_device_is_out_with_its_certificates(device: Device, store: Store) -> None:
    folder = device.certify()
    operate(store, "DELETE", device.path)
    assert refused(lambda: device.associate(folder)) == "rejected 1/1/3"
    device.add()
    assert refused(lambda: device.associate(folder)) == "rejected 1/1/3"


def test_a_certificate_that_the_device_has_already(
    device: Device, store: Store, pki: Pki, tmp_path: Path
) -> None:
    own = pki.signed()
    context = ssl.create_default_context(cafile=store.installation.data / "tls" / "ca.pem")
    context.load_cert_chain(own.file)

    def call() -> None:
        rawsend.Association(
            place(store), CONTEXTS, tls=context, calling=device.title, timeout=SOON
        ).release()

    assert refused(call) == ""
    file = tmp_path / "own.pem"
    file.write_bytes(own.file.read_bytes().split(b"-----BEGIN PRIVATE")[0])
    store.installation.run("device", "certificate", device.title, "--import", str(file))
    end = time.monotonic() + SOON
    while True:
        try:
            call()
        except OSError:
            assert time.monotonic() < end
        else:
            break
    device.revoke()
    assert refused(call) in {"", "rejected 1/1/3"}


def test_the_list_of_revoked_certificates_is_public_and_named(device: Device, store: Store) -> None:
    folder = device.certify()
    certificate = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    address = f"https://localhost:{store.server.web}/pki/ca.crl"
    assert points[0].full_name == [x509.UniformResourceIdentifier(address)]
    ca = store.installation.data / "tls" / "ca.pem"
    authority = x509.load_pem_x509_certificate(ca.read_bytes())

    def revoked() -> bool:
        answer = requests.get(address, verify=str(ca), timeout=10)
        assert answer.headers["Content-Type"] == "application/pkix-crl"
        listed = x509.load_der_x509_crl(answer.content)
        assert listed.is_signature_valid(authority.public_key())  # type: ignore[arg-type] # a curve
        return (
            listed.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
        )

    assert not revoked()
    device.revoke()
    assert revoked()


def test_an_honest_echo_among_peers_stalled_in_their_handshake(
    device: Device, store: Store
) -> None:
    folder = device.certify()
    hello = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), hello, server_hostname="localhost"
    )
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    greeting = hello.read()
    with ExitStack() as crowd:
        for number in range(STALLED):
            peer = crowd.enter_context(socket.create_connection(place(store), SOON))
            peer.sendall(greeting if number % 2 else greeting[:100])
        began = time.monotonic()
        link = device.associate(folder)
        assert link.echo() == 0
        assert time.monotonic() - began < 1
        link.release()


def test_the_door_comes_back_at_its_port(device: Device, store: Store) -> None:
    folder, before = device.certify(), processes(store)["dimse"]
    subprocess.run(["kill", "-9", str(before)], check=True)
    end = time.monotonic() + 30
    while True:
        try:
            device.associate(folder).release()
        except OSError:
            assert time.monotonic() < end
        else:
            break


def shown(store: Store, ca: Path) -> str:
    """Return the fingerprint of what the web door shows, to a client that trusts ``ca``."""
    context = ssl.create_default_context(cafile=ca)
    with (
        socket.create_connection(("127.0.0.1", store.server.web), SOON) as peer,
        context.wrap_socket(peer, server_hostname="localhost") as link,
    ):
        return fingerprint(
            ssl.DER_cert_to_PEM_cert(link.getpeercert(binary_form=True) or b"").encode()
        ).hex()


def test_another_authoritys_web_certificate_is_shown_at_once(
    store: Store, pki: Pki, tmp_path: Path
) -> None:
    ca = store.installation.data / "tls" / "ca.pem"
    before = shown(store, ca)
    cert, key = tmp_path / "web.pem", tmp_path / "web.key"
    cert.write_bytes(pki.server.certificate)
    key.write_bytes(pki.server.key)
    run = store.installation.run
    refusal = run("certificate", "import", "--cert", str(cert), "--key", str(ca), check=False)
    assert refusal.returncode == 1
    assert "not an unencrypted PEM private key" in refusal.stderr
    assert shown(store, ca) == before
    run("certificate", "import", "--cert", str(cert), "--key", str(key))
    assert shown(store, pki.ca) == facts_of(pki.server.certificate).fingerprint
    told = {each["for"]: each for each in operate(store, "GET", "/api/v1/certificates")}
    assert told["web"]["fingerprint"] == facts_of(pki.server.certificate).fingerprint
    assert told["web"]["own"] is False
    assert told["dimse"]["own"] is True
    assert set(told) == {"web", "dimse", "ca"}
    secret = pki.server.key.splitlines()[1]
    for path in store.installation.data.rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes()
    web = processes(store)["web"]
    subprocess.run(["kill", "-9", str(web)], check=True)  # it comes back with the same one
    end = time.monotonic() + 30
    while True:
        try:
            assert shown(store, pki.ca) == facts_of(pki.server.certificate).fingerprint
        except OSError:
            assert time.monotonic() < end
        else:
            break
    operate(store, "DELETE", "/api/v1/certificates/web")
    shown(store, ca)
    until_event(store, deed="certificate.web", phase="outcome")


def test_a_device_that_listens_with_tls_is_called_so(
    device: Device, store: Store, tmp_path: Path
) -> None:
    path = shutil.which("storescp", path="/usr/bin:/usr/local/bin")
    if path is None:
        pytest.skip("DCMTK's storescp is not installed")
    operate(store, "DELETE", device.path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = {"ae_title": device.title, "host": "127.0.0.1", "port": port, "tls": True}
    operate(store, "POST", "/api/v1/devices", place)
    mine, others = device.certify(), Device(store, tmp_path / "other", f"Y{device.title}").certify()
    for folder, answered in ((others, False), (mine, True)):
        proof = ["+tls", str(folder / "key.pem"), str(folder / "cert.pem")]
        words = [path, *proof, "+cf", str(folder / "ca.pem"), "-od", str(tmp_path), str(port)]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + SOON
            while True:
                heard = operate(store, "POST", f"{device.path}/echo")
                if heard["reason"] != "the peer cannot be reached":
                    break
                assert time.monotonic() < end
            assert heard["answered"] is answered, heard
        finally:
            process.terminate()
            process.wait(SOON)


@pytest.mark.parametrize("script", ["dicom-ping", "dicom-brute"])
def test_nmap_learns_no_name_and_no_service(
    device: Device, store: Store, tmp_path: Path, script: str
) -> None:
    if shutil.which("nmap") is None:
        pytest.skip("nmap is not installed; on Debian: apt install nmap")
    guesses = tmp_path / "titles"
    guesses.write_text(f"ANY\nRADKEEP\n{device.title}\n")
    ports = f"{place(store)[1]},{store.server.dimse}"
    done = subprocess.run(
        ["nmap", "-Pn", "-sT", "-p", ports, "--script", f"+{script}", "--script-args",
         f"passdb={guesses}", "127.0.0.1"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for word in ("RADKEEP", device.title, "Valid credentials", "Any AET", "1.2.840"):
        assert word not in done.stdout, done.stdout
