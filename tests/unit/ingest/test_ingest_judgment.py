# SPDX-License-Identifier: Apache-2.0
"""The verdict on two data sets under one SOP Instance UID."""

import io
import warnings

import pydicom
import pytest
from ingest_house import BIG, EXPLICIT, IMPLICIT, PIXELS, House, data_set
from pydicom.filewriter import dcmwrite

from radkeep.domain.errors import InstanceConflictError, IntegrityError
from radkeep.ingest import judgment
from radkeep.ingest.ports import Verdict

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"


def written(syntax: str, **changes: object) -> bytes:
    """Return the usual data set as pydicom writes it in ``syntax``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pydicom.dcmread(io.BytesIO(data_set()), force=True)
        for keyword, value in changes.items():
            setattr(found, keyword, value)
        if syntax == BIG:
            found.PixelData = b"".join(PIXELS[at : at + 2][::-1] for at in range(0, len(PIXELS), 2))
        out = io.BytesIO()
        found["PixelData"].VR = "OW"
        dcmwrite(
            out,
            found,
            implicit_vr=syntax == IMPLICIT,
            little_endian=syntax != BIG,
            force_encoding=True,
        )
    return out.getvalue()


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG])
def test_equal_elements_in_another_uncompressed_syntax_are_the_same(syntax: str) -> None:
    house = House()
    transfer = house.transfer()
    house.receive(transfer, data_set()).result(0)
    again = house.receive(transfer, written(syntax), syntax).result(0)
    assert again.verdict is Verdict.SAME
    assert house.catalog.quarantine == {}


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_one_other_element_is_a_conflict(syntax: str) -> None:
    house = House()
    transfer = house.transfer()
    house.receive(transfer, data_set()).result(0)
    other = house.receive(transfer, written(syntax, PatientID="PID-8"), syntax)
    assert isinstance(other.exception(0), InstanceConflictError)
    assert len(house.catalog.quarantine) == 1


def test_compressed_data_sets_are_not_compared_element_by_element() -> None:
    house = House()
    transfer = house.transfer()
    house.receive(transfer, data_set()).result(0)
    item = b"\xfe\xff\x00\xe0\0\0\0\0" + b"\xfe\xff\x00\xe0\4\0\0\0\xff\xd8\xff\xd9"
    pixels = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    compressed = data_set()[: -len(PIXELS) - 12] + pixels
    other = house.receive(transfer, compressed, JPEG_BASELINE)
    assert isinstance(other.exception(0), InstanceConflictError)


def test_large_ones_that_differ_are_a_conflict_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgment, "MAX_COMPARED_BYTES", len(data_set()) - 1)
    house = House()
    transfer = house.transfer()
    house.receive(transfer, data_set()).result(0)
    house.archive.damaged = {0}  # reading it would fail
    other = house.receive(transfer, written(IMPLICIT), IMPLICIT)
    assert isinstance(other.exception(0), InstanceConflictError)


def test_a_damaged_original_is_no_verdict() -> None:
    house = House()
    transfer = house.transfer()
    house.receive(transfer, data_set()).result(0)
    house.archive.damaged = {0}
    with pytest.raises(IntegrityError):
        house.receive(transfer, written(IMPLICIT), IMPLICIT)
