# SPDX-License-Identifier: Apache-2.0
"""Programs of others as clients of a real server: echo, store, query, move, get, and termscu.

Invariant tested: each program says by its own exit status and words that all went well, and what
it fetched is what was sent.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from tests.peers.conftest import Clinic, program

pytestmark = pytest.mark.xdist_group("peer-programs")
ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "build" / "peers" / "node_modules"


def run(*command: str, **environment: str) -> str:
    """Return what a successful program printed."""
    done = subprocess.run(
        command,
        env=os.environ | {"TCP_NODELAY": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def stored(clinic: Clinic, files: Sequence[Path]) -> Clinic:
    """Return the clinic with all files in it, sent by DCMTK's dcmsend."""
    dcmsend = program("dcmsend", "dcmtk")
    run(dcmsend, "-aet", "PEER", "-aec", "RADKEEP", *clinic.address, *map(str, files))
    return clinic


def fetched(folder: Path) -> dict[str, bytes]:
    """Return pixels, or nothing, of the files in ``folder`` by SOP Instance UID."""
    found = [dcmread(path) for path in folder.iterdir()]
    return {each.SOPInstanceUID: each.get("PixelData", b"") for each in found}


def sent(*files: Path) -> dict[str, bytes]:
    """Return the same of the files that were sent."""
    found = [dcmread(path) for path in files]
    return {each.SOPInstanceUID: each.get("PixelData", b"") for each in found}


# --- pynetdicom's applications ---


def app(clinic: Clinic, name: str, *arguments: str) -> str:
    titles = ("-aet", "PEER", "-aec", "RADKEEP")
    return run(sys.executable, "-m", "pynetdicom", name, *clinic.address, *titles, *arguments)


def test_pynetdicom_echoscu(clinic: Clinic) -> None:
    assert "Success" in app(clinic, "echoscu", "-v")


def test_pynetdicom_storescu(stored: Clinic, files: Sequence[Path]) -> None:
    said = app(stored, "storescu", "-v", "-cx", str(files[0]))
    assert "0x0000 - Success" in said


def test_pynetdicom_findscu(stored: Clinic, heads: Sequence[Dataset]) -> None:
    keys = ("QueryRetrieveLevel=STUDY", f"PatientID={heads[0].PatientID}", "StudyInstanceUID=")
    said = app(stored, "findscu", "-v", "-S", *(part for key in keys for part in ("-k", key)))
    assert heads[0].StudyInstanceUID in said
    assert heads[1].StudyInstanceUID not in said


def test_pynetdicom_getscu(
    stored: Clinic, files: Sequence[Path], heads: Sequence[Dataset], tmp_path: Path
) -> None:
    keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={heads[1].StudyInstanceUID}")
    arguments = [part for key in keys for part in ("-k", key)]
    app(stored, "getscu", "-v", "-S", *arguments, "-od", str(tmp_path))
    assert fetched(tmp_path) == sent(files[1])


def test_pynetdicom_movescu(
    stored: Clinic, files: Sequence[Path], heads: Sequence[Dataset], tmp_path: Path
) -> None:
    keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={heads[0].StudyInstanceUID}")
    arguments = [part for key in keys for part in ("-k", key)]
    port = str(stored.workstation)
    own = ("-aem", "PEER", "--store", "--store-port", port, "--store-aet", "PEER")
    said = app(stored, "movescu", "-v", "-S", *arguments, *own, "-od", str(tmp_path))
    assert fetched(tmp_path) == sent(files[0]), said


# --- DCMTK ---


def test_dcmtk_findscu(stored: Clinic, heads: Sequence[Dataset]) -> None:
    findscu = program("findscu", "dcmtk")
    keys = ("QueryRetrieveLevel=SERIES", f"StudyInstanceUID={heads[3].StudyInstanceUID}")
    arguments = [part for key in (*keys, "SeriesInstanceUID") for part in ("-k", key)]
    said = run(findscu, "-v", "-S", "-aet", "PEER", "-aec", "RADKEEP", *arguments, *stored.address)
    assert heads[3].SeriesInstanceUID in said


def test_dcmtk_termscu_is_refused(clinic: Clinic) -> None:
    """It asks for DCMTK's private shutdown class, by which its own servers end."""
    before = clinic.server.pids()
    done = subprocess.run(
        [program("termscu", "dcmtk"), "-aet", "PEER", "-aec", "RADKEEP", *clinic.address],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "No Acceptable Presentation Contexts" in done.stderr
    assert clinic.server.pids() == before
    run(program("echoscu", "dcmtk"), "-aet", "PEER", "-aec", "RADKEEP", *clinic.address)


# --- CTN ---


def test_ctn_dicom_echo(clinic: Clinic) -> None:
    echo = program("dicom_echo", "ctn")
    said = run(echo, "-a", "PEER", "-c", "RADKEEP", "-r", "3", *clinic.address)
    assert "Verification" in said
    assert "rror" not in said, said


# --- odil ---


def test_odil(stored: Clinic, files: Sequence[Path], heads: Sequence[Dataset]) -> None:
    """Its `get` is left out: version 0.12 breaks in its own writer of files."""
    odil = program("odil", "odil")
    titles = ("PEER", "RADKEEP")
    run(odil, "echo", *stored.address, *titles)
    run(odil, "store", *stored.address, *titles, str(files[1]))
    keys = ("QueryRetrieveLevel=STUDY", f"PatientID={heads[1].PatientID}", "StudyInstanceUID")
    said = run(odil, "find", *stored.address, *titles, "study", *keys)
    assert heads[1].StudyInstanceUID in said


# --- dcmjs-dimse ---


def dcmjs(clinic: Clinic, verb: str, *arguments: str) -> list[dict[str, object]]:
    node = program("node", "nodejs")
    if not MODULES.is_dir():
        pytest.skip("dcmjs-dimse is not installed: make peers")
    script = str(ROOT / "tools" / "peers" / "dimse.cjs")
    command = (node, script, verb, *clinic.address, "PEER", "RADKEEP", *arguments)
    lines = run(*command, NODE_PATH=str(MODULES)).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_dcmjs(
    stored: Clinic, files: Sequence[Path], heads: Sequence[Dataset], tmp_path: Path
) -> None:
    assert dcmjs(stored, "echo") == [{"status": 0}]
    other = dcmread(files[0])  # it writes data sets anew, and the same UID may not mean two things
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    other.save_as(tmp_path / "other.dcm")
    assert dcmjs(stored, "store", str(tmp_path / "other.dcm"))[-1]["status"] == 0
    found = dcmjs(stored, "find", str(heads[0].PatientID))
    assert [each["status"] for each in found] == [0xFF00, 0]
    assert found[0]["study"] == heads[0].StudyInstanceUID
    got = dcmjs(stored, "get", str(heads[0].StudyInstanceUID))
    assert {"got": heads[0].SOPInstanceUID} in got
    assert {"got": other.SOPInstanceUID} in got
