# SPDX-License-Identifier: Apache-2.0
"""A patient who must not be found anywhere, and the ways in which text can hide in bytes."""

import base64
import io
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

NAME, PATIENT = "ZZQX^CANARY", "CANARY-7731"
STUDY_TEXT, REFERRER = "CanaryStudyText", "CanaryReferrer"
PIXELS, DOCUMENT = "CanaryInPixels", "CanaryInDocument"
EMAIL = "canary.person@clinic.example"
ROOT = "1.2.826.0.1.3680043.8.498.7731"
STUDY = f"{ROOT}.1"
WORDS = (NAME, NAME.replace("^", " "), PATIENT, STUDY_TEXT, REFERRER, PIXELS, DOCUMENT, EMAIL, ROOT)


def needles() -> Sequence[bytes]:
    """Return all that would betray a word: several cases, in the usual encodings."""
    found = set[bytes]()
    for word in WORDS:
        for each in {word, word.lower(), word.upper()}:
            plain = each.encode()
            found |= {plain, each.encode("utf-16-le"), each.encode("utf-16-be")}
            found |= {plain.hex().encode(), plain.hex().upper().encode(), quote(each).encode()}
            found |= set(_base64(plain))
    return sorted(found)


def betrayed(content: bytes) -> Sequence[bytes]:
    """Return the needles in ``content``."""
    written = content.rstrip(b"\0")
    return [needle for needle in needles() if needle in written]


def _base64(plain: bytes) -> Iterator[bytes]:
    """Yield the part of the encoding that does not depend on the neighbors, at each offset."""
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + plain)
        yield encoded[4 * (offset > 0) : (offset + len(plain)) // 3 * 4]


def image(number: int = 1, *, pixels: str = PIXELS, implicit: bool = False) -> Dataset:
    """Return an image of 512 KiB that says who it is in its pixels, too."""
    ds = _dataset(CTImageStorage, number)
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    ds.Modality = "CT"
    ds.Rows = ds.Columns = 512
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 0
    text = pixels.encode() + bytes(2)
    ds.PixelData = (text * (512 * 1024 // len(text) + 1))[: 512 * 1024]
    ds["PixelData"].VR = "OW"
    return ds


def document(number: int) -> Dataset:
    """Return an encapsulated document."""
    ds = _dataset(EncapsulatedPDFStorage, number)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.Modality, ds.MIMETypeOfEncapsulatedDocument = "DOC", "application/pdf"
    ds.EncapsulatedDocument = b"%PDF-1.4\n" + DOCUMENT.encode() * 9001
    return ds


def file_of(ds: Dataset) -> bytes:
    """Return ``ds`` as a DICOM file."""
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _dataset(sop_class: str, number: int) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"{STUDY}.1.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, f"{STUDY}.{sop_class.rpartition('.')[2]}"
    ds.PatientName, ds.PatientID = NAME, PATIENT
    ds.StudyDescription, ds.ReferringPhysicianName = STUDY_TEXT, REFERRER
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20260301", "101500", PATIENT
    ds.PatientBirthDate, ds.PatientSex, ds.StudyID = "19010203", "O", PATIENT
    return ds
