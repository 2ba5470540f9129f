# SPDX-License-Identifier: Apache-2.0
"""DCMTK's getscu and movescu fetch what is stored."""

import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from radkeep.database.catalog.catalog import Catalog
from radkeep.retrieval.selection import Selection
from radkeep.testing.dimse import Door, FakeDestinations, Place
from radkeep.testing.shelf import Shelf

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
NAMES = ("CT_small.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm", "reportsi.dcm")


def run(tool: str, *arguments: str) -> str:
    path = shutil.which(tool, path="/usr/bin:/usr/local/bin")
    if path is None:
        pytest.skip(f"DCMTK's {tool} is not installed")
    done = subprocess.run(
        [path, "-v", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


@pytest.fixture
def destinations() -> FakeDestinations:
    return FakeDestinations()


@pytest.fixture
def clinic(
    open_door: Callable[..., Door],
    catalog: Catalog,
    shelf: Shelf,
    selector: Selection,
    destinations: FakeDestinations,
) -> Door:
    catalog.commit("a" * 32, 1, [shelf.put((FILES / name).read_bytes()) for name in NAMES])
    return open_door(rooms={"selector": selector, "destinations": destinations})


def keys(name: str) -> list[str]:
    study = pydicom.dcmread(FILES / name).StudyInstanceUID
    return ["-k", "0008,0052=STUDY", "-k", f"0020,000D={study}"]


def same_pixels(one: Path, name: str) -> bool:
    return bool(pydicom.dcmread(one).PixelData == pydicom.dcmread(FILES / name).PixelData)


@pytest.mark.parametrize(
    ("name", "options", "syntax"),
    [
        ("CT_small.dcm", [], "1.2.840.10008.1.2.1"),
        ("CT_small.dcm", ["-xi"], "1.2.840.10008.1.2.1"),
        ("MR_small_implicit.dcm", [], "1.2.840.10008.1.2.1"),
        ("JPEG2000.dcm", ["+xw"], "1.2.840.10008.1.2.4.91"),
    ],
)
def test_getscu(clinic: Door, tmp_path: Path, name: str, options: list[str], syntax: str) -> None:
    folder = tmp_path / "got"
    folder.mkdir()
    host, port = clinic.address
    said = run("getscu", "-S", "-aec", "RADKEEP", "-od", str(folder), *options, *keys(name),
               host, str(port))  # fmt: skip
    (got,) = folder.iterdir()
    assert said.startswith("0\n"), said
    assert pydicom.dcmread(got).file_meta.TransferSyntaxUID == syntax, said
    assert same_pixels(got, name)


def test_getscu_without_the_right_syntax(clinic: Door, tmp_path: Path) -> None:
    host, port = clinic.address
    said = run("getscu", "-S", "-aec", "RADKEEP", "-od", str(tmp_path), *keys("JPEG2000.dcm"),
               host, str(port))  # fmt: skip
    assert "Number of Failed Suboperations    : 1" in said, said


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_implicit.dcm"])
def test_movescu(clinic: Door, destinations: FakeDestinations, tmp_path: Path, name: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own = free.getsockname()[1]
    destinations.places["MOVESCU"] = Place("MOVESCU", "127.0.0.1", own)
    folder = tmp_path / "got"
    folder.mkdir()
    host, port = clinic.address
    said = run("movescu", "-S", "-aec", "RADKEEP", "-aem", "MOVESCU", "+P", str(own),
               "-od", str(folder), *keys(name), host, str(port))  # fmt: skip
    assert said.startswith("0\n"), said
    (got,) = folder.iterdir()
    assert same_pixels(got, name)
