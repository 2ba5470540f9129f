# SPDX-License-Identifier: Apache-2.0
"""Every storable file sent by DCMTK, which encodes anew: equal element by element."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from corpus_files import BATCHES, Real, differences, parsed, quiet, split
from corpus_house import DCMTK, House, Store, dcmtk

# The transfer syntaxes that storescu can propose alone, and how it is told to.
PROPOSALS = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}
EXPLICIT = "1.2.840.10008.1.2.1"
# DCMTK announces the UIDs of the file meta, and the data set has others: 0xA900 (docs/refusals.md).
DIFFERING = frozenset(
    {
        "compressed/cornerstoneWADOImageLoader__CTImage.dcm_JPEG2000TransferSyntax_1.2.840.10008.1.2.4.91.dcm",
        "compressed/cornerstoneWADOImageLoader__CTImage.dcm_JPEGLSLossyTransferSyntax_1.2.840.10008.1.2.4.81.dcm",
        "derived/pydicom__rtdose_rle.dcm",
        "derived/pydicom__rtdose_rle_1frame.dcm",
    }
)
UNREADABLE = frozenset({"derived/pydicom-data__liver_deflate.dcm"})  # to DCMTK, not to us


# Classes that storescu has no name for, so that it does not propose them; dcmsend does.
NAMELESS = frozenset(
    {
        "derived/dcmqi__sparse-labelmap-noppv.dcm",
        "derived/dcmqi__sparse-labelmap-ppv5.dcm",
        "encodings/fo-dicom__Issue1097_FailToOpenDeflatedFileWithSQ.dcm",
    }
)
NOT_BY_STORESCU = DIFFERING | UNREADABLE | NAMELESS


def _expected(real: Real, syntax: str, folder: Path) -> bytes:
    """Return the file, in explicit little endian as DCMTK itself writes it if that was sent."""
    if syntax == real.transfer_syntax:
        return real.content
    assert syntax == EXPLICIT
    converted = folder / "converted.dcm"
    assert dcmtk("dcmconv", "+te", str(real.path), str(converted)).returncode == 0
    return converted.read_bytes()


def _compare(store: Store, batch: Sequence[Real], folder: Path) -> None:
    found = {}
    with quiet():
        for real in batch:
            got = store.get(real.address, "application/dicom; transfer-syntax=*")
            if got.status_code != 200:
                found[real.name] = [f"status {got.status_code}"]
                continue
            expected = _expected(real, split(got.content)[0], folder)
            if unlike := differences(parsed(expected), parsed(got.content)):
                found[real.name] = unlike
    assert found == {}


@pytest.mark.parametrize("number", range(BATCHES))
def test_dcmsend(
    house: House, storable: Sequence[Sequence[Real]], number: int, tmp_path: Path
) -> None:
    batch, report = storable[number], tmp_path / "report"
    with house.empty() as store:
        host, port = store.dimse
        done = dcmtk(
            "dcmsend", "-dn", "-nh", "-aet", DCMTK, "-aec", "RADKEEP", "+crf", str(report),
            host, str(port), *(str(real.path) for real in batch),
        )  # fmt: skip
        assert done.returncode == 0, report.read_text()
        for real in batch:
            if real.name in DIFFERING | UNREADABLE:
                assert store.get(real.address, "*/*").status_code == 404, real.name
        _compare(
            store, [real for real in batch if real.name not in DIFFERING | UNREADABLE], tmp_path
        )
        _storescu(store, batch)  # the same again, by another sender: success


@pytest.mark.parametrize("number", [0, 1])
def test_storescu(
    house: House, storable: Sequence[Sequence[Real]], number: int, tmp_path: Path
) -> None:
    with house.empty() as store:
        _compare(store, _storescu(store, storable[number]), tmp_path)


def _storescu(store: Store, batch: Sequence[Real]) -> Sequence[Real]:
    """Send each transfer syntax by itself, so that nothing is transcoded; return what was sent."""
    by_syntax = defaultdict[str, list[Real]](list)
    for real in batch:
        if real.name not in NOT_BY_STORESCU and real.transfer_syntax in PROPOSALS:
            by_syntax[real.transfer_syntax].append(real)
    host, port = store.dimse
    for syntax, reals in by_syntax.items():
        done = dcmtk(
            "storescu", "-R", "-nh", PROPOSALS[syntax], "-aet", DCMTK, "-aec", "RADKEEP",
            host, str(port), *(str(real.path) for real in reals),
        )  # fmt: skip
        assert done.returncode == 0, (syntax, done.stderr)
    return [real for reals in by_syntax.values() for real in reals]
