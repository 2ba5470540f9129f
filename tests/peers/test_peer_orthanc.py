# SPDX-License-Identifier: Apache-2.0
"""Orthanc as a peer with a life of its own: it echoes, sends, queries, pulls, and is called."""

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from tests.peers.conftest import Clinic, free_port, program

pytestmark = pytest.mark.xdist_group("peer-orthanc")


@dataclass(frozen=True)
class Orthanc:
    """Its REST door."""

    port: int

    def ask(self, path: str, body: bytes | object = None, *, method: str = "") -> Any:  # noqa: ANN401
        """Return what it answers; a body makes it a POST."""
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", raw, method=method or None
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=60
        ) as answer:
            content = answer.read()
        return json.loads(content) if content[:1] in (b"{", b"[") else content

    def forget(self) -> None:
        """Delete every study."""
        for study in self.ask("/studies"):
            self.ask(f"/studies/{study}", method="DELETE")


@pytest.fixture(scope="module")
def orthanc(clinic: Clinic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    folder = tmp_path_factory.mktemp("orthanc")
    peer = Orthanc(free_port())
    settings = {
        "Name": "Peer",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": "ORTHANC",
        "DicomPort": clinic.orthanc,
        "DicomCheckCalledAet": True,
        "HttpPort": peer.port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomModalities": {"radkeep": ["RADKEEP", "127.0.0.1", clinic.server.dimse]},
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    command = [program("Orthanc", "orthanc"), str(folder / "orthanc.json")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                peer.ask("/system")
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                threading.Event().wait(0.1)
        yield peer
    finally:
        process.terminate()
        process.wait(30)


def test_echo_both_ways(clinic: Clinic, orthanc: Orthanc) -> None:
    orthanc.ask("/modalities/radkeep/echo", b"{}")
    clinic.installation.run("device", "echo", "ORTHANC")


def test_it_sends_queries_and_pulls(
    clinic: Clinic, orthanc: Orthanc, files: Sequence[Path], heads: Sequence[Dataset]
) -> None:
    for path in files:
        uploaded = orthanc.ask("/instances", path.read_bytes())["ID"]
        orthanc.ask("/modalities/radkeep/store", uploaded.encode())
    orthanc.forget()
    assert orthanc.ask("/instances") == []

    for path, head in zip(files, heads, strict=True):
        keys = {"StudyInstanceUID": head.StudyInstanceUID, "PatientName": "", "StudyDate": ""}
        query = orthanc.ask("/modalities/radkeep/query", {"Level": "Study", "Query": keys})["ID"]
        assert len(orthanc.ask(f"/queries/{query}/answers")) == 1
        content = orthanc.ask(f"/queries/{query}/answers/0/content?simplify")
        assert content["PatientName"] == str(head.get("PatientName", ""))
        pull = {"TargetAet": "ORTHANC", "Synchronous": True}
        orthanc.ask(f"/queries/{query}/retrieve", pull)
        (instance,) = orthanc.ask("/instances")
        back = orthanc.ask(f"/instances/{instance}/file")
        assert isinstance(back, bytes)
        assert _pixels(back) == dcmread(path).get("PixelData", b"")
        orthanc.forget()


def _pixels(file: bytes) -> bytes:
    found: bytes = dcmread(BytesIO(file)).get("PixelData", b"")
    return found
