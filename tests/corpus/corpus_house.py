# SPDX-License-Identifier: Apache-2.0
"""Real servers over copies of one empty installation, and how outsiders speak to them."""

import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from radkeep.testing import server

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))  # for rawsend, which is in no package

CREDENTIALS = "CREDENTIALS_DIRECTORY"
RAW, DCMTK = "RAWSEND", "DCMTK"
AUDIT_LOG_USED = "110101"
DICOM = "application/dicom"
PARTS = f'multipart/related; type="{DICOM}"'
DICOM_JSON = "application/dicom+json"


@dataclass(frozen=True)
class House:
    """An installation without a single instance."""

    installation: server.Installation
    token: str
    folder: Path

    @contextmanager
    def empty(self, *flags: str) -> Iterator["Store"]:
        """Serve a copy; at the end it is killed and removed."""
        data = self.folder / secrets.token_hex(4)
        shutil.copytree(self.installation.data, data)
        copy = server.Installation(
            data, self.installation.founded, self.installation.passphrase_file
        )
        with server.serving(copy, *flags) as running, requests.Session() as session:
            session.trust_env = False
            session.verify = str(data / "tls" / "ca.pem")
            session.headers["Authorization"] = f"Bearer {self.token}"
            try:
                yield Store(copy, running, session)
            finally:
                if running.process.poll() is None:
                    running.kill()
        shutil.rmtree(data)


@dataclass(frozen=True)
class Store:
    """A running server, and a session of HTTPS with a token that may read and write."""

    installation: server.Installation
    server: server.Server
    session: requests.Session

    @property
    def url(self) -> str:
        """The DICOMweb root."""
        return f"https://localhost:{self.server.web}/dicom-web"

    @property
    def dimse(self) -> tuple[str, int]:
        """Where DICOM associations are taken."""
        return "127.0.0.1", self.server.dimse

    def get(self, path: str, accept: str) -> requests.Response:
        """Return what GET answers."""
        return self.session.get(self.url + path, headers={"Accept": accept}, timeout=60)

    def instance(self, address: str) -> bytes:
        """Return one instance as a DICOM file, in the transfer syntax in which it is stored."""
        answer = self.get(address, f"{DICOM}; transfer-syntax=*")
        assert answer.status_code == 200, answer.text
        assert len(answer.content) == int(answer.headers["Content-Length"])
        return answer.content

    def operator(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return what the control socket answers to the host's operator."""
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.installation.data / "run" / "control.sock"))
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def events(self) -> Sequence[dict[str, Any]]:
        """Return the last 1,000 audit events, without the looks at them."""
        found = self.operator("/api/v1/audit?count=1000")
        return [event for event in found if event["event"] != AUDIT_LOG_USED]

    def stow(self, *files: bytes) -> tuple[int, dict[str, Any]]:
        """Post files and return status and answer."""
        boundary = secrets.token_hex(16)
        body = b"".join(
            f"--{boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode() + file + b"\r\n"
            for file in files
        )
        answer = self.session.post(
            f"{self.url}/studies",
            body + f"--{boundary}--\r\n".encode(),
            headers={"Content-Type": f"{PARTS}; boundary={boundary}", "Accept": DICOM_JSON},
            timeout=60,
        )
        return answer.status_code, answer.json()


@contextmanager
def _credential(folder: Path) -> Iterator[None]:
    """Have all servers of this process open their keys by one credential.

    Unlike a passphrase, it takes no time to stretch at each start.
    """
    if os.environ.get(CREDENTIALS):
        yield  # another folder of tests has come first, and goes last
        return
    (folder / "radkeep-root").write_bytes(secrets.token_bytes(32))
    os.environ[CREDENTIALS] = str(folder)
    try:
        yield
    finally:
        del os.environ[CREDENTIALS]


@contextmanager
def founded(folder: Path) -> Iterator[House]:
    """Found an installation with two devices and a token."""
    data = folder / "template"
    arguments = ("--organization", "Clinic", "--admin", server.ADMINISTRATOR)
    command = ("init", *arguments, "--key-provider", "credential", "--data", str(data), "--json")
    with _credential(folder):
        made = subprocess.run(
            server.command(*command),
            capture_output=True,
            text=True,
            env=server.environment(),
            timeout=60,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        installation = server.Installation(data, json.loads(made.stdout), Path(os.devnull))
        for title in (RAW, DCMTK):
            installation.run("device", "add", title, "--from", "127.0.0.0/8")
        scopes = ("--scope", "dicomweb:read", "--scope", "dicomweb:write")
        token = installation.run("token", "create", "corpus", *scopes).stdout.strip()
        yield House(installation, token, folder)


def failures(answer: Mapping[str, Any]) -> Sequence[int]:
    """Return the Failure Reasons of a STOW answer."""
    items = [
        *answer.get("00081198", {}).get("Value", []),
        *answer.get("0008119A", {}).get("Value", []),
    ]
    return [item["00081197"]["Value"][0] for item in items]


def dcmtk(tool: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run one of DCMTK's tools, not pynetdicom's of the same name."""
    path = shutil.which(tool, path="/usr/bin:/usr/local/bin")
    if path is None:
        pytest.skip(f"DCMTK's {tool} is not installed")
    return subprocess.run(
        [path, *arguments],
        env=os.environ | {"TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
