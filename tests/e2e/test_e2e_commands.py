# SPDX-License-Identifier: Apache-2.0
"""One real server, driven from outside: commands, READY, sign-in, doors that die, Ctrl-C."""

import base64
import json
import os
import signal
import ssl
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import msgspec
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pynetdicom import AE

from radkeep.app.founding import found as found_directory
from radkeep.app.layout import Layout
from radkeep.config import Config
from radkeep.crypto import otp
from radkeep.crypto.providers.passphrase import Cost, PassphraseProvider
from radkeep.domain.clock import SystemClock
from radkeep.testing.server import (
    ADMINISTRATOR,
    Installation,
    Server,
    command,
    environment,
    serving,
)

PASSPHRASE = "correct horse battery staple"
PASSWORD = "tiger-lamp-orbit-94"
DEADLINE = 30.0  # seconds

pytestmark = pytest.mark.timeout(180)


def found(folder: Path) -> Installation:
    """Found a data directory whose passphrase costs nothing to check, so that commands are fast."""
    secret, layout = folder / "passphrase", Layout(folder / "data")
    secret.write_text(PASSPHRASE)
    provider = PassphraseProvider(layout.keyring, PASSPHRASE, cost=Cost(time=1, memory=64))
    made = found_directory(
        layout, Config(), provider, organization="Clinic", administrator=ADMINISTRATOR
    )
    return Installation(layout.data, msgspec.to_builtins(made), secret)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return found(tmp_path_factory.mktemp("commands"))


@pytest.fixture(scope="module")
def server(installation: Installation) -> Iterator[Server]:
    with serving(installation) as server:
        yield server


@pytest.fixture
def http(installation: Installation, server: Server) -> Iterator[httpx2.Client]:
    """Return a client that trusts the private CA and nothing else."""
    context = ssl.create_default_context(cafile=installation.founded["ca"]["path"])
    base = f"https://localhost:{server.web}"
    with httpx2.Client(base_url=base, verify=context, timeout=DEADLINE) as client:
        yield client


def process(server: Server, name: str) -> int:
    """Return the process id of one part of the server."""
    for pid in server.pids()[1:]:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if name.encode() in words:
            return pid
    return 0


def until(fact: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    waiting, end = threading.Event(), time.monotonic() + DEADLINE
    while not fact():
        assert time.monotonic() < end, "it never came true"
        waiting.wait(0.05)


def code_of(totp_uri: str) -> str:
    secret = parse_qs(urlsplit(totp_uri).query)["secret"][0]
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    return otp.code_at(key, otp.step_at(SystemClock().now()))


def test_ready_says_where_everything_is(installation: Installation, server: Server) -> None:
    ready = server.ready
    assert set(ready) == {"pid", "data", "web", "dimse_tls", "dimse", "admin"}
    assert ready["pid"] == server.process.pid
    assert ready["data"] == str(installation.data)
    assert ready["web"] == f"https://localhost:{server.web}"
    assert ready["dimse"] == f"127.0.0.1:{server.dimse}"
    assert len(server.pids()) == 5  # supervisor, zygote, keeper, two doors


def test_a_script_enrols_and_signs_in(
    installation: Installation, http: httpx2.Client, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    told = installation.json(
        *("user", "enrol", "--token", installation.founded["enrolment"]["token"]),
        *("--password-file", str(secret)),
    )
    assert len(told["recovery_codes"]) == 10
    body = {"email": ADMINISTRATOR, "password": PASSWORD, "code": "000000"}
    assert http.post("/api/v1/session", json=body).status_code == 401
    answers = []

    def sign_in() -> bool:  # the code of enrolment is used up: the next one comes in 30 s at most
        body["code"] = code_of(told["totp_uri"])
        answers.append(http.post("/api/v1/session", json=body))
        return answers[-1].status_code != 401

    if not sign_in():
        step = otp.step_at(SystemClock().now())
        threading.Event().wait((step + 1) * 30 - time.time() + 0.1)
        assert sign_in(), answers[-1].text
    assert answers[-1].is_success, answers[-1].text
    assert http.get("/api/v1/session").status_code == 200
    assert http.get("/dicom-web/studies").status_code in {200, 204}


def test_a_device_is_called_when_it_is_added_and_whenever_asked(
    installation: Installation, server: Server
) -> None:
    ae = AE(ae_title="PACS2")
    ae.add_supported_context("1.2.840.10008.1.1")
    peer = ae.start_server(("127.0.0.1", 0), block=False)
    where = ("--host", "127.0.0.1", "--port", str(peer.socket.getsockname()[1]))
    try:
        assert installation.json("device", "add", "PACS2", *where)["echo"] == "answered"
        assert installation.json("device", "echo", "PACS2")["answered"] is True
    finally:
        peer.shutdown()
    asked = [*command("device", "echo", "PACS2"), "--data", str(installation.data)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 10
    assert "PACS2 does not answer: the peer cannot be reached" in done.stderr
    made = installation.json("device", "add", "PACS3", *where)  # registered all the same
    assert made["echo"] == "the peer cannot be reached"


def test_import_search_and_export_meet_in_the_server(
    installation: Installation, server: Server, http: httpx2.Client, tmp_path: Path
) -> None:
    source = Path(get_testdata_file("CT_small.dcm", download=False) or "")
    archive = tmp_path / "media.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(source, "../../CT_small.dcm")
        packed.write(source, "DICOMDIR")
        packed.writestr("autorun.inf", "[autorun]")
    ran = installation.run("import", str(archive), "--json", check=False)
    assert ran.returncode == 1
    told = json.loads(ran.stdout)
    assert told["stored"] == 1
    assert [each["file"] for each in told["rejected"]] == ["media.zip:autorun.inf"]
    assert installation.json("import", str(source)) == {"stored": 1, "rejected": []}
    token = installation.run("token", "create", "reader", "--scope", "dicomweb:read").stdout.strip()
    bearer = {"Authorization": f"Bearer {token}", "Accept": "application/dicom+json"}
    (study,) = http.get("/dicom-web/studies", headers=bearer).json()
    uid = study["0020000D"]["Value"][0]
    refused = http.post("/dicom-web/studies", headers=bearer, content=b"x")
    assert refused.status_code == 403
    assert http.get("/dicom-web/studies").status_code == 401
    out = tmp_path / "out"
    assert installation.json("export", uid, str(out)) == {"instances": 1, "failed": []}
    assert pydicom.dcmread(out / "000001.dcm") == pydicom.dcmread(source)
    assert installation.json("token", "revoke", "reader")["revoked"] is True
    assert http.get("/dicom-web/studies", headers=bearer).status_code == 401


def test_commands_reach_the_running_server(installation: Installation, server: Server) -> None:
    made = installation.json("device", "add", "CT/1#2", "--from", "127.0.0.0/8")
    assert made["ae_title"] == "CT/1#2"
    assert installation.run("device", "remove", "CT/1#2").stdout
    assert installation.run("device", "remove", "CT/1#2", check=False).returncode == 4
    entries = installation.json("audit", "tail", "--count", "50")
    assert [each["index"] for each in entries] == sorted({each["index"] for each in entries})
    assert installation.json("audit", "verify")["sound"] is True
    assert installation.json("verify")["damaged"] == 0
    nothing = environment()  # no passphrase: the server has the keys
    ran = subprocess.run(
        command("user", "list", "--data", str(installation.data)),
        env=nothing,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ADMINISTRATOR in ran.stdout) == (0, True)


def test_a_second_server_and_a_rebuild_are_refused(
    installation: Installation, server: Server
) -> None:
    for arguments in (("serve", "--web-port", "0"), ("rebuild",)):
        ran = installation.run(*arguments, check=False)
        assert ran.returncode == 1
        assert ran.stderr.splitlines()[-1].startswith("radkeep: another server or command")


@pytest.mark.parametrize("name", ["dimse", "web"])
def test_a_door_that_dies_is_opened_again(
    installation: Installation, server: Server, name: str
) -> None:
    old, keeper = process(server, name), process(server, "keeper")
    os.kill(old, signal.SIGKILL)
    until(lambda: process(server, name) not in {0, old})
    until(lambda: installation.run("user", "list", check=False).returncode == 0)
    entries = installation.json("audit", "tail", "--count", "20")
    assert [each for each in entries if each.get("type") == "110120" and each["actor_name"] == name]
    assert process(server, "keeper") == keeper


def test_the_end_of_the_keeper_is_the_end_of_all(tmp_path: Path) -> None:
    installation = found(tmp_path)
    with serving(installation) as server:
        pids = server.pids()
        os.kill(process(server, "keeper"), signal.SIGKILL)
        assert server.process.wait(DEADLINE) == 10
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert server.log[-1] == "radkeep: the keeper of the audit log ended\n"
    assert installation.run("user", "list").returncode == 0
    assert installation.json("audit", "verify")["sound"] is True
    with serving(installation) as again:
        again.kill()
    assert (installation.data / "run" / "control.sock").exists()  # and nobody behind it
    assert installation.run("user", "list").returncode == 0
    assert installation.json("verify", "--full")["damaged"] == 0


def test_a_port_that_is_taken_is_named(tmp_path: Path, server: Server) -> None:
    installation = found(tmp_path)
    for flags in (
        ("--web-port", str(server.web)),
        ("--web-port", "0", "--dimse-port", str(server.dimse)),
    ):
        ran = installation.run("serve", *flags, check=False)
        assert ran.returncode == 10
        assert ran.stdout == ""
        last = ran.stderr.splitlines()[-1]
        assert last.startswith("radkeep: cannot listen at 127.0.0.1, port ")
        assert flags[-1] in last
        assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_stops_everything_without_a_trace(tmp_path: Path, number: int) -> None:
    installation = found(tmp_path)
    options = ("--web-port", "0", "--dimse-port", "0", "--dimse-tls-port", "0", "--admin-port", "0")
    started = subprocess.Popen(
        command("serve", "--data", str(installation.data), *options),
        env=environment(installation.passphrase_file),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own, as a terminal's foreground job is
    )
    try:
        assert started.stdout is not None
        assert started.stdout.readline().startswith("READY ")
        os.killpg(started.pid, number)  # Ctrl-C goes to every process at once
        out, err = started.communicate(timeout=DEADLINE)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
            started.communicate()
    assert started.returncode == 0, err
    assert out == ""
    assert "Traceback" not in err
    assert "process.ended" not in err
    assert not (installation.data / "run" / "control.sock").exists()
    entries = installation.json("audit", "tail", "--count", "20")
    stopped = {each["actor_name"] for each in entries if each.get("type") == "110121"}
    assert stopped >= {"dimse", "web"}


def test_the_demo_starts_signs_in_once_and_stops(tmp_path: Path) -> None:
    data = str(tmp_path / "demo")
    arguments = ("demo", "--data", data, "--no-browser", "--web-port", "0", "--dimse-port", "0")
    started = subprocess.Popen(
        command(*arguments),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert started.stdout is not None
        line = started.stdout.readline()
        assert line.startswith("READY "), started.communicate()[1]
        ready = json.loads(line.removeprefix("READY "))
        context = ssl.create_default_context(cafile=f"{data}/tls/ca.pem")
        with httpx2.Client(verify=context, timeout=DEADLINE) as browser:
            assert browser.get(ready["link"]).status_code in {200, 302, 303}
            studies = browser.get(f"{ready['web']}/dicom-web/studies?limit=100")
            assert len(studies.json()) > 10
        with httpx2.Client(verify=context, timeout=DEADLINE) as stranger:
            stranger.get(ready["link"])  # it was used
            assert stranger.get(f"{ready['web']}/dicom-web/studies").status_code == 401
        fresh = subprocess.run(
            command(*arguments, "--fresh"), env=environment(), capture_output=True, check=False
        )
        assert (fresh.returncode, b"another server" in fresh.stderr) == (1, True)
        os.killpg(started.pid, signal.SIGINT)
        _, err = started.communicate(timeout=DEADLINE)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
            started.communicate()
    assert started.returncode == 0, err
    assert "Traceback" not in err
