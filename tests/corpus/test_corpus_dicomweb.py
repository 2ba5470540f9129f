# SPDX-License-Identifier: Apache-2.0
"""Every storable file by a foreign DICOMweb client over TLS, there and back, and its frames."""

import io
from collections import defaultdict
from collections.abc import Sequence

import pydicom
import pytest
from corpus_files import BATCHES, BIG_ENDIAN, UNCOMPRESSED, Real, differences, quiet
from corpus_house import House, Store
from dicomweb_client.api import DICOMwebClient
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import get_expected_length

UNKNOWN = "1.2.840.10008.1.2.8.1"  # Deflated Image Frame Compression: pydicom cannot write it
TWELVE_BITS = "1.2.840.10008.1.2.4.51"  # viewers get it wrong
ANY = (("application/dicom", "*"),)


def _client(store: Store) -> DICOMwebClient:
    return DICOMwebClient(store.url, session=store.session)


def _read(real: Real) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(real.content), force=True)


@pytest.mark.parametrize("number", range(BATCHES))
def test_there_and_back(house: House, storable: Sequence[Sequence[Real]], number: int) -> None:
    batch = storable[number]
    with house.empty() as store, quiet():
        client = _client(store)
        for real in batch:
            if real.transfer_syntax == UNKNOWN:
                assert store.stow(real.content)[0] == 200
                continue
            answer = client.store_instances([_read(real)])
            assert len(answer.ReferencedSOPSequence) == 1, real.name
        unlike = {}
        for real in batch:
            place = (real.study, real.series, real.sop_instance)
            got = client.retrieve_instance(*place, media_types=ANY)
            if found := differences(_read(real), got):
                unlike[real.name] = found
            _metadata(client, real)
            _frames(store, real)
        assert unlike == {}
        _studies(client, batch)


def _metadata(client: DICOMwebClient, real: Real) -> None:
    told = client.retrieve_instance_metadata(real.study, real.series, real.sop_instance)
    expected = _read(real)
    tags = list(expected.keys())  # a data set yields elements, not keys
    missing = {f"{tag:08X}" for tag in tags if tag.element} - told.keys() - {"FFFCFFFC"}
    assert missing == set(), real.name
    for keyword in ("StudyInstanceUID", "SOPClassUID", "PatientID", "Rows", "BitsAllocated"):
        tag = f"{pydicom.datadict.tag_for_keyword(keyword):08X}"
        value = told.get(tag, {}).get("Value", [None])
        assert value == [expected.get(keyword) or None], (real.name, keyword)


def _frames(store: Store, real: Real) -> None:
    expected = _read(real)
    if "PixelData" not in expected or real.name == "odd/pydicom__badVR.dcm":
        return  # the bad one says that it has "1A" frames
    count = int(expected.get("NumberOfFrames") or 1)
    syntax = "*" if real.transfer_syntax != TWELVE_BITS else TWELVE_BITS  # else it comes decoded
    accept = f'multipart/related; type="application/octet-stream"; transfer-syntax={syntax}'
    got = store.get(f"{real.address}/frames/{count}", accept)
    assert got.status_code == 200, (real.name, got.text)
    boundary = got.headers["Content-Type"].partition("boundary=")[2].split(";")[0].strip('"')
    part = got.content.split(f"--{boundary}".encode())[1].partition(b"\r\n\r\n")[2][:-2]
    if real.transfer_syntax in UNCOMPRESSED:
        length, bits = get_expected_length(expected), int(expected.BitsAllocated)
        if bits == 1:
            return  # frames begin inside a byte
        pixels = expected.PixelData
        if real.transfer_syntax == BIG_ENDIAN:  # also the last word, half of which is padding
            pixels = _little(pixels, 1 if expected["PixelData"].VR == "OB" else max(bits // 8, 2))
        pixels = pixels[:length]
        assert part == pixels[length // count * (count - 1) :], real.name
    else:
        assert part == list(generate_frames(expected.PixelData, number_of_frames=count))[-1]


def _little(pixels: bytes, size: int) -> bytes:
    """Return big endian numbers of ``size`` bytes as little endian, as frames always are."""
    padded = pixels + bytes(-len(pixels) % size)
    swapped = (padded[at : at + size][::-1] for at in range(0, len(padded), size))
    return b"".join(swapped)[: len(pixels)]


def _studies(client: DICOMwebClient, batch: Sequence[Real]) -> None:
    studies, series = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for real in batch:
        studies[real.study].add(real.sop_instance)
        series[real.series].add(real.sop_instance)
    parents = {real.series: real.study for real in batch}
    for study, instances in studies.items():
        found = client.retrieve_study(study, media_types=ANY)
        assert {each.SOPInstanceUID for each in found} == instances
        assert len(client.retrieve_study_metadata(study)) == len(instances)
    for one, instances in series.items():
        found = client.retrieve_series(parents[one], one, media_types=ANY)
        assert {each.SOPInstanceUID for each in found} == instances
