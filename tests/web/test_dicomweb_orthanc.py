# SPDX-License-Identifier: Apache-2.0
"""Orthanc's DICOMweb plugin as a client: it sends to us, searches us and fetches from us."""

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

if TYPE_CHECKING:
    from tests.web.conftest import Served, Web

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
UID = "1.2.826.0.1.3680043.8.498.9"
STUDY = f"{UID}.1"
ORTHANC = shutil.which("Orthanc", path="/usr/sbin:/usr/bin")
DEADLINE = 20.0
Make = Callable[..., bytes]

pytestmark = pytest.mark.skipif(
    ORTHANC is None or not PLUGIN.exists(), reason="needs the packages orthanc and orthanc-dicomweb"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def orthanc(served: "Served", web: "Web", tmp_path: Path) -> Iterator[httpx2.Client]:
    port = free_port()
    folder = tmp_path / "orthanc"
    folder.mkdir()
    settings = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "DicomPort": free_port(),
        "HttpPort": port,
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
        "HttpsCACertificates": str(served.authority),
        "HttpTimeout": 10,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {
            "Enable": True,
            "Servers": {
                "radkeep": {
                    "Url": f"{served.url}/dicom-web/",
                    "HttpHeaders": {"Authorization": f"Bearer {web.token}"},
                }
            },
        },
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(ORTHANC), str(folder / "orthanc.json")], stdout=log, stderr=log
        )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE) as client:
            wait(client, process)
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE)


def wait(client: httpx2.Client, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + DEADLINE
    pause = threading.Event()
    while time.monotonic() < until and process.poll() is None:
        try:
            if client.get("/dicom-web/servers").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        pause.wait(0.05)
    raise AssertionError("Orthanc does not answer")


def remote(client: httpx2.Client, deed: str, **body: object) -> httpx2.Response:
    answer = client.post(f"/dicom-web/servers/radkeep/{deed}", json=body)
    assert answer.status_code == 200, answer.text
    return answer


def test_orthanc_sends_searches_and_fetches(
    orthanc: httpx2.Client, web: "Web", make_file: Make
) -> None:
    files = [make_file(number=number) for number in (1, 2, 3)]
    names = [orthanc.post("/instances", content=file).json()["ID"] for file in files]
    sent = remote(orthanc, "stow", Resources=names, Synchronous=True)
    assert sent.json().get("InstancesCount", "3") in {"3", 3}
    kept = web.get("/dicom-web/instances").json()
    assert sorted(row["00080018"]["Value"][0] for row in kept) == [
        f"{STUDY}.1.{number}" for number in (1, 2, 3)
    ]

    assert STUDY in remote(orthanc, "qido", Uri="/studies", Arguments={"PatientID": "P1"}).text
    assert STUDY not in remote(orthanc, "qido", Uri="/studies", Arguments={"PatientID": "P2"}).text

    for name in names:
        orthanc.delete(f"/instances/{name}")
    assert orthanc.get("/instances").json() == []
    remote(orthanc, "retrieve", Resources=[{"Study": STUDY}], Synchronous=True)
    back = orthanc.get("/instances").json()
    assert len(back) == 3
    received = {orthanc.get(f"/instances/{name}/file").content for name in back}
    assert {file[-32:] for file in files} == {file[-32:] for file in received}

    orthanc.delete(f"/instances/{back[0]}")
    one = {"Study": STUDY, "Series": f"{STUDY}.1", "Instance": f"{STUDY}.1.1"}
    remote(orthanc, "retrieve", Resources=[one], Synchronous=True)
    path = f"/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.1/metadata"
    told = remote(orthanc, "get", Uri=path, HttpHeaders={"Accept": "application/dicom+json"})
    assert told.json()[0]["00100020"]["Value"] == ["P1"]
