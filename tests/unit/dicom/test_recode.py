# SPDX-License-Identifier: Apache-2.0
"""A data set in another uncompressed syntax says the same, as the store compares."""

import io
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest

from radkeep.dicom.equality import same_elements
from radkeep.dicom.recode import SOURCES, TARGETS, lookahead, recoded
from radkeep.domain.errors import RadkeepError, UnavailableError, UnsupportedError
from radkeep.retrieval.ports import StoredInstance
from radkeep.retrieval.retrieved import Retrieved
from radkeep.testing.shelf import Shelf

FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def retrieved(content: bytes, syntax: str | None = None) -> Retrieved:
    shelf = Shelf()
    arrival = shelf.put(content, syntax)
    facts = arrival.facts
    return Retrieved(
        StoredInstance(
            study=facts.study, series=facts.series, sop_instance=facts.sop_instance,
            sop_class=facts.sop_class, transfer_syntax=facts.transfer_syntax, number=1, frames=1,
            patient="", digest=arrival.digest, data_set_length=arrival.data_set_length,
            placement=arrival.placement,
        ),
        shelf,
    )  # fmt: skip


def readable() -> Iterator[tuple[str, Retrieved]]:
    for path in sorted(FILES.glob("*.dcm")):
        try:
            one = retrieved(path.read_bytes())
        except RadkeepError:
            continue
        if one.stored.transfer_syntax in SOURCES:
            yield path.name, one


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_lost(target: str) -> None:
    checked = 0
    for name, one in readable():
        source = one.stored.transfer_syntax
        made = b"".join(one.data_set_in(target))
        if "rtdose_expb" in name:  # words of 32 bits in OW, which the comparison takes for 16
            twin = pydicom.dcmread(FILES / name.replace("_expb", "")).PixelData
            assert made.endswith(twin)
            continue
        assert same_elements(b"".join(one.data_set()), source, made, target), name
        again = retrieved(made, target)
        back = TARGETS[1 - TARGETS.index(target)]
        assert same_elements(made, target, b"".join(again.data_set_in(back)), back)
        checked += 1
    assert checked > 20


def test_large_values_and_words_are_turned() -> None:
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.4", "1.2.5"
    dataset.PixelRepresentation = 1
    dataset.SmallestImagePixelValue = -5
    dataset.RedPaletteColorLookupTableData = np.arange(60_000, dtype=">u2").tobytes()
    dataset["RedPaletteColorLookupTableData"].VR = "OW"
    dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.SamplesPerPixel = 100, 500, 16, 1
    dataset.PixelData = np.arange(50_000, dtype=">u2").tobytes()
    dataset["PixelData"].VR = "OW"
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(out, dataset, little_endian=False, implicit_vr=False)
    one = retrieved(out.getvalue(), "1.2.840.10008.1.2.2")
    for target in TARGETS:
        made = b"".join(one.data_set_in(target))
        read = pydicom.dcmread(
            io.BytesIO(made), force=True
        ) if target.endswith(".1") else pydicom.filereader.read_dataset(
            io.BytesIO(made), is_implicit_VR=True, is_little_endian=True
        )  # fmt: skip
        assert read.PixelData == np.arange(50_000, dtype="<u2").tobytes()
        table = np.arange(60_000, dtype="<u2").tobytes()
        assert read.RedPaletteColorLookupTableData == table
        assert read.SmallestImagePixelValue == -5


def test_deflated() -> None:
    one = retrieved((FILES / "image_dfl.dcm").read_bytes())
    plain = zlib.decompress(b"".join(one.data_set()), -zlib.MAX_WBITS)
    made = b"".join(one.data_set_in("1.2.840.10008.1.2.1"))
    assert same_elements(plain, "1.2.840.10008.1.2.1", made, "1.2.840.10008.1.2.1")


def test_what_is_compressed_needs_a_sandbox() -> None:
    one = retrieved((FILES / "JPEG2000.dcm").read_bytes())
    with pytest.raises(UnavailableError):
        one.data_set_in(TARGETS[0])
    with pytest.raises(UnsupportedError):
        recoded(one.head, TARGETS[0])


def test_lookahead() -> None:
    assert list(lookahead(iter([]))) == [(b"", True)]
    assert list(lookahead(iter([b"a", b"b"]))) == [(b"a", False), (b"b", True)]
