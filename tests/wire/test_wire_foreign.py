# SPDX-License-Identifier: Apache-2.0
"""DCMTK and pynetdicom as peers of the real server."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation, UserIdentityNegotiation

from radkeep.testing.dimse import Door

FILES = ["CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "MR_small_bigendian.dcm", "rtplan.dcm"]


def _dcmtk(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = shutil.which(tool, path="/usr/bin:/usr/local/bin")  # not pynetdicom's of that name
    if path is None:
        pytest.skip(f"DCMTK's {tool} is not installed")
    return subprocess.run(
        [path, *arguments],
        env=os.environ | {"TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def files() -> list[str]:
    return [str(get_testdata_file(name)) for name in FILES]


def test_echoscu(door: Door) -> None:
    done = _dcmtk("echoscu", "-v", "-aec", "RADKEEP", "127.0.0.1", str(door.port))
    assert done.returncode == 0, done.stderr
    assert "Success" in done.stderr + done.stdout


def test_echoscu_with_the_wrong_called_title(door: Door) -> None:
    done = _dcmtk("echoscu", "-aec", "OTHER", "127.0.0.1", str(door.port))
    assert done.returncode != 0
    assert "Calling AE Title Not Recognized" in done.stderr


def test_storescu(door: Door, files: list[str]) -> None:
    done = _dcmtk("storescu", "-R", "-aec", "RADKEEP", "127.0.0.1", str(door.port), *files[:2])
    assert done.returncode == 0, done.stderr
    assert [kept.sop_instance for kept in door.store.kept] == [
        dcmread(path).SOPInstanceUID for path in files[:2]
    ]


def test_dcmsend(door: Door, files: list[str], tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    done = _dcmtk(
        "dcmsend", "-aec", "RADKEEP", "--create-report-file", str(report),
        "127.0.0.1", str(door.port), *files,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(door.store.kept) == len(files), report.read_text()
    by_uid = {kept.sop_instance: kept for kept in door.store.kept}
    jpeg = dcmread(files[2])
    assert by_uid[jpeg.SOPInstanceUID].transfer_syntax == jpeg.file_meta.TransferSyntaxUID


def test_pynetdicom(door: Door, files: list[str]) -> None:
    ae = AE("MOD1")
    ae.add_requested_context("1.2.840.10008.1.1")
    datasets = [dcmread(path) for path in files]
    for ds in datasets:
        ae.add_requested_context(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID)
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.positive_response_requested = 1, True
    identity.primary_field = b"somebody"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = datasets[0].SOPClassUID
    common.service_class_uid = "1.2.840.10008.4.2"
    assoc = ae.associate(
        "127.0.0.1", door.port, ae_title="RADKEEP", ext_neg=[identity, common], max_pdu=16_382
    )
    assert assoc.is_established
    assert assoc.acceptor.implementation_version_name == "RADKEEP"
    assert assoc.send_c_echo().Status == 0
    for ds in datasets:
        assert assoc.send_c_store(ds).Status == 0
    assoc.release()
    assert [kept.sop_instance for kept in door.store.kept] == [d.SOPInstanceUID for d in datasets]
    assert door.store.kept[0].actor.id == "MOD1"


def test_pynetdicom_abort(door: Door) -> None:
    ae = AE("MOD1")
    ae.add_requested_context("1.2.840.10008.1.1")
    assoc = ae.associate("127.0.0.1", door.port, ae_title="RADKEEP")
    assoc.abort()
    again = ae.associate("127.0.0.1", door.port, ae_title="RADKEEP")
    assert again.send_c_echo().Status == 0
    again.release()
