# SPDX-License-Identifier: Apache-2.0
"""A real clinic with two devices that other programs play: a workstation and an Orthanc."""

import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from tests.crash.conftest import tmp_path

from radkeep.testing.server import Installation, Server, serving

sys.path.insert(0, str(Path(__file__).parents[1] / "torture"))

from torture_clinic import founded

__all__ = ["tmp_path"]

NAMES = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "reportsi.dcm")


@dataclass(frozen=True)
class Clinic:
    """A running server and who may speak to it."""

    installation: Installation
    server: Server
    workstation: int  # the port where device PEER is said to listen
    orthanc: int  # likewise ORTHANC

    @property
    def address(self) -> tuple[str, str]:
        """Host and port of plaintext DIMSE, as arguments."""
        return "127.0.0.1", str(self.server.dimse)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def program(name: str, package: str) -> str:
    """Return where the system's program ``name`` is, not one of that name in our environment."""
    path = shutil.which(name, path="/usr/bin:/usr/sbin:/usr/local/bin")
    if path is None:
        pytest.skip(f"{name} is not installed; on Debian: apt install {package}")
    return path


@pytest.fixture(scope="session")
def files() -> Sequence[Path]:
    """Return real files of four classes and three transfer syntaxes."""
    return [Path(str(get_testdata_file(name, download=False))) for name in NAMES]


@pytest.fixture(scope="session")
def heads(files: Sequence[Path]) -> Sequence[Dataset]:
    """Return their data sets without pixels."""
    return [dcmread(path, stop_before_pixels=True) for path in files]


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """Serve a clinic without any instance."""
    folder = tmp_path_factory.mktemp("p")
    installation = founded(folder, passphrase=False)
    ports = free_port(), free_port()
    for title, port in zip(("PEER", "ORTHANC"), ports, strict=True):
        installation.run(
            "device", "add", title, "--host", "127.0.0.1", "--port", str(port),
            "--allow", "store,find,move,get",
        )  # fmt: skip
    with serving(installation) as server:
        yield Clinic(installation, server, *ports)
