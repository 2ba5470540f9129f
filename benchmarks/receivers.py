# SPDX-License-Identifier: Apache-2.0
"""The servers that are measured, each started fresh in a folder of its own and stopped by its pid.

Invariant: Radkeep runs as in production: founded by ``radkeep init`` with a passphrase, the sender
a registered device, with encryption, policy and audit; the others run with their defaults, but
without Nagle's algorithm, which costs them 44 ms an instance, and with PDUs of 128 KiB.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from radkeep.testing import server as radkeep_server

CALLING = "RAWSEND"
_DEADLINE = 30.0  # seconds, to start or to stop
_LARGEST_PDU = 131_072
_ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}


@dataclass(frozen=True)
class Receiver:
    """A server that listens."""

    port: int
    pid: int
    options: tuple[str, ...] = ()  # what the sender needs besides


Start = Callable[[Path], AbstractContextManager[Receiver]]


class Radkeep:
    """Starts copies of one data directory, which is founded once."""

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        """With ``tls`` the sender is told to use the port of DICOM over TLS and a certificate."""
        folder.mkdir()
        self._device = folder / "device" if tls else None
        self._founded = radkeep_server.found(folder)
        with radkeep_server.serving(self._founded):
            self._founded.run("device", "add", CALLING, "--from", "127.0.0.0/8")
            if self._device is not None:
                self._founded.run("device", "certificate", CALLING, "--out", str(self._device))

    @contextmanager
    def __call__(self, folder: Path) -> Iterator[Receiver]:
        """Run ``radkeep serve`` in ``folder``."""
        data = folder / "data"
        shutil.copytree(self._founded.data, data)
        founded = self._founded
        copy = radkeep_server.Installation(data, founded.founded, founded.passphrase_file)
        with radkeep_server.serving(copy) as server:
            if self._device is None:
                yield Receiver(server.dimse, server.process.pid)
            else:
                port = int(server.ready["dimse_tls"].rpartition(":")[2])
                yield Receiver(port, server.process.pid, ("--tls", str(self._device)))


@contextmanager
def orthanc(folder: Path, **more: object) -> Iterator[Receiver]:
    """Run Orthanc without plugins, with ``more`` settings; it syncs each stored file by default."""
    port = _free_port()
    settings = {
        "Name": "Benchmark",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomPort": port,
        "HttpPort": _free_port(),
        "RemoteAccessAllowed": False,
        "MaximumPduLength": _LARGEST_PDU,
        "Plugins": [],
        **more,
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with _running(["/usr/sbin/Orthanc", str(folder / "orthanc.json")], folder, port) as receiver:
        yield receiver


@contextmanager
def running_orthanc(folder: Path) -> Iterator[int]:
    """Run Orthanc with its DICOMweb plugin; yield the port of its plain HTTP."""
    port = _free_port()
    more = {
        "HttpPort": port,
        "KeepAlive": True,
        "HttpThreadsCount": 50,
        "AuthenticationEnabled": False,
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    with orthanc(folder, **more):
        _await_http(port)
        yield port


def _await_http(port: int) -> None:
    deadline = time.monotonic() + _DEADLINE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            threading.Event().wait(0.05)
        else:
            return
    raise RuntimeError("Orthanc does not answer over HTTP")


@contextmanager
def dcmtk(folder: Path) -> Iterator[Receiver]:
    """Run storescp, which writes the bytes as they come: no index, no sync, no encryption."""
    port = _free_port()
    (folder / "files").mkdir()
    options = ["--fork", "+B", "-pdu", str(_LARGEST_PDU), "-od", str(folder / "files"), str(port)]
    with _running(["storescp", *options], folder, port) as receiver:
        yield receiver


@contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[Receiver]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=_ENVIRONMENT)
    try:
        _await_listening(process, port)
        yield Receiver(port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_listening(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + _DEADLINE
    pause = threading.Event()
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            pause.wait(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not listen")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
