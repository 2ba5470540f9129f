# SPDX-License-Identifier: Apache-2.0
"""Make synthetic, valid data sets for measurements: Explicit VR Little Endian, noise for pixels.

    python benchmarks/generate.py FOLDER [--ct 600] [--small 1500] [--multiframe 8] [--seed 7]

writes FOLDER/ct (512 x 512, 525 KB, 500 a study), FOLDER/small (60 x 60, 8 KB) and
FOLDER/multiframe (100 frames, 52 MB). The same seed gives the same files.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)

ROOT = "2.25.231790436712849105536624193087"  # studies below it are made here and nowhere else


@dataclass(frozen=True)
class Kind:
    """One kind of instance."""

    name: str
    number: int  # arc below ROOT
    sop_class: str
    modality: str
    side: int  # pixels, both ways
    frames: int
    per_study: int


CT = Kind("ct", 1, CTImageStorage, "CT", 512, 1, 500)
SMALL = Kind("small", 2, CTImageStorage, "CT", 60, 1, 1_250)
MULTIFRAME = Kind(
    "multiframe", 3, MultiFrameGrayscaleWordSecondaryCaptureImageStorage, "OT", 512, 100, 5
)


def make(kind: Kind, index: int, pixels: bytes) -> Dataset:
    """Return instance ``index`` of ``kind`` with ``pixels`` (16 bits each)."""
    group, number = divmod(index, kind.per_study)
    study = f"{ROOT}.{kind.number}.{group + 1}"
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = kind.sop_class
    ds.SOPInstanceUID = f"{study}.1.{number + 1}"
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = "20260115"
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = "101500"
    ds.AccessionNumber = f"{kind.name.upper()}{group}"[:16]
    ds.Modality = kind.modality
    ds.Manufacturer = "SYNTHETIC"
    ds.InstitutionName = "LABORATORY"
    ds.ReferringPhysicianName = "Referrer^Synthetic"
    ds.StudyDescription = "SYNTHETIC STUDY"
    ds.SeriesDescription = "SYNTHETIC SERIES"
    ds.PatientName = f"Synthetic^{kind.name.capitalize()}^{group}"
    ds.PatientID = f"SYN-{kind.name.upper()}-{group}"
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "O"
    ds.BodyPartExamined = "CHEST"
    ds.SliceThickness = "1.0"
    ds.KVP = "120"
    ds.PatientPosition = "HFS"
    ds.StudyInstanceUID = study
    ds.SeriesInstanceUID = f"{study}.1"
    ds.StudyID = "1"
    ds.SeriesNumber = 1
    ds.InstanceNumber = number + 1
    ds.ImagePositionPatient = [0, 0, number]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.FrameOfReferenceUID = f"{study}.2"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    if kind.frames > 1:
        ds.NumberOfFrames = kind.frames
    ds.Rows = ds.Columns = kind.side
    ds.PixelSpacing = [0.7, 0.7]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = "40", "400"
    ds.RescaleIntercept, ds.RescaleSlope = "-1024", "1"
    ds.PixelData = pixels
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def write(
    folder: Path, kind: Kind, count: int, noise: np.ndarray, rng: np.random.Generator
) -> None:
    """Write ``count`` instances of ``kind``; pixels are windows into ``noise``."""
    if not count:
        return
    target = folder / kind.name
    target.mkdir(parents=True, exist_ok=True)
    size = kind.side * kind.side * kind.frames
    for index in range(count):
        start = int(rng.integers(0, noise.size - size + 1))
        ds = make(kind, index, noise[start : start + size].tobytes())
        ds.save_as(target / f"{index:05d}.dcm", enforce_file_format=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ct", type=int, default=600)
    parser.add_argument("--small", type=int, default=1_500)
    parser.add_argument("--multiframe", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    size = 512 * 512 * (101 if options.multiframe else 8)
    noise = rng.integers(0, 4_096, size, dtype=np.uint16)
    for kind, count in ((CT, options.ct), (SMALL, options.small), (MULTIFRAME, options.multiframe)):
        write(options.folder, kind, count, noise, rng)


if __name__ == "__main__":
    main()
