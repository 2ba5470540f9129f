# SPDX-License-Identifier: Apache-2.0
"""Requests and reports of storage commitment, with pydicom on the other side."""

import io

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from radkeep.dicom.commitment import MAX_REFERENCES, CommitmentRequest, Reference, report
from radkeep.domain.errors import InvalidRequestError, InvalidUidError, UndecodableError
from radkeep.domain.uid import Uid

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
CT = Uid("1.2.840.10008.5.1.4.1.1.2")


def written(request: Dataset, syntax: str) -> bytes:
    out = io.BytesIO()
    pydicom.dcmwrite(
        out, request, implicit_vr=syntax == IMPLICIT, little_endian=syntax != BIG
    )  # fmt: skip
    return out.getvalue()


def asked(*names: str) -> Dataset:
    request = Dataset()
    request.TransactionUID = "2.25.1"
    step = Dataset()
    step.ReferencedSOPClassUID, step.ReferencedSOPInstanceUID = "1.2.3", "1.2.4"
    request.ReferencedPerformedProcedureStepSequence = [step]
    request.ReferencedSOPSequence = []
    for name in names:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, name
        item.PurposeOfReferenceCodeSequence = [step]
        request.ReferencedSOPSequence.append(item)
    return request


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_references_are_read_once_each(syntax: str) -> None:
    request = CommitmentRequest.read(written(asked("1.2.9", "1.2.8", "1.2.9"), syntax), syntax)
    assert request.transaction == "2.25.1"
    assert request.references == (Reference(CT, Uid("1.2.9")), Reference(CT, Uid("1.2.8")))


def test_too_many_references_are_refused() -> None:
    item = written(asked("1.2.9"), EXPLICIT)
    start = item.index(b"\x08\x00\x99\x11SQ")
    one = item[start + 12 :]
    body = one * (MAX_REFERENCES + 1)
    length = len(body).to_bytes(4, "little")
    with pytest.raises(InvalidRequestError, match="too many"):
        CommitmentRequest.read(item[: start + 8] + length + body, EXPLICIT)


@given(st.binary(max_size=200), st.integers(0, 300), st.sampled_from([IMPLICIT, EXPLICIT]))
def test_any_bytes_give_a_request_or_one_of_its_errors(raw: bytes, at: int, syntax: str) -> None:
    good = written(asked("1.2.9"), syntax)
    try:
        request = CommitmentRequest.read(good[:at] + raw + good[at + len(raw) :], syntax)
    except (UndecodableError, InvalidUidError, InvalidRequestError):
        return
    assert request.references


@pytest.mark.parametrize("explicit", [True, False])
def test_reports_are_as_the_standard_has_them(explicit: bool) -> None:  # noqa: FBT001
    one, other = Reference(CT, Uid("1.2.9")), Reference(CT, Uid("1.2.8"))
    raw = report(Uid("2.25.1"), "RADKEEP", [one], [(other, 0x0112)], explicit=explicit)
    said = pydicom.dcmread(io.BytesIO(raw), force=True)
    assert said.TransactionUID == "2.25.1"
    assert said.RetrieveAETitle == "RADKEEP"
    assert said.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.9"
    assert said.FailedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.8"
    assert said.FailedSOPSequence[0].FailureReason == 0x0112
    whole = pydicom.dcmread(
        io.BytesIO(report(Uid("2.25.1"), "A", [one], [], explicit=explicit)), force=True
    )
    assert "FailedSOPSequence" not in whole
