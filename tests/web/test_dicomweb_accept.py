# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.domain.errors import InvalidRequestError
from radkeep.web.dicomweb.accept import (
    Form,
    choose_bulk,
    choose_frames,
    choose_instances,
)
from radkeep.web.dicomweb.wado import parse_frames
from radkeep.web.kit.media_types import parse_accept
from radkeep.web.kit.problems import NotAcceptableError

J2K = "1.2.840.10008.1.2.4.90"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
J12 = "1.2.840.10008.1.2.4.51"
RAW = "application/octet-stream"
OCTETS = Form(RAW, multipart=True)
DICOM = Form("application/dicom", multipart=True)
DECODED = Form("application/dicom", multipart=True, decoded=True)
DECODED_FRAMES = Form(RAW, multipart=True, decoded=True)


@pytest.mark.parametrize(
    ("accept", "stored", "form"),
    [
        ("", EXPLICIT, DICOM),
        ("*/*", EXPLICIT, DICOM),
        ("multipart/related", EXPLICIT, DICOM),
        ('multipart/related; type="application/dicom"', J2K, DICOM),
        ("multipart/related; type=application/dicom; transfer-syntax=*", J2K, DICOM),
        (f'multipart/related; type="application/dicom"; transfer-syntax={J2K}', J2K, DICOM),
        (f'multipart/related; type="application/dicom"; transfer-syntax={EXPLICIT}', J2K, DECODED),
        (f'multipart/related; type="application/dicom"; transfer-syntax={IMPLICIT}', J2K, None),
        ("application/dicom", EXPLICIT, Form("application/dicom", multipart=False)),
        ("application/zip", EXPLICIT, None),
        ("*/*, application/dicom;q=0", EXPLICIT, None),
        ("application/dicom;q=0.5, multipart/related;q=0.7", EXPLICIT, DICOM),
        ("*/*;q=0", EXPLICIT, None),
        ("application/zip, */*;q=0.1", EXPLICIT, DICOM),
        ('multipart/related; type="image/jpeg"', EXPLICIT, None),
    ],
)
def test_instances(accept: str, stored: str, form: Form | None) -> None:
    ranges = parse_accept(accept)
    if form is None:
        with pytest.raises(NotAcceptableError):
            choose_instances(ranges, {stored}, one=True)
    else:
        assert choose_instances(ranges, {stored}, one=True) == form


def test_several_instances_need_multipart_and_one_syntax() -> None:
    with pytest.raises(NotAcceptableError):
        choose_instances(parse_accept("application/dicom"), {EXPLICIT}, one=False)
    demanded = f'multipart/related; type="application/dicom"; transfer-syntax={J2K}'
    with pytest.raises(NotAcceptableError):
        choose_instances(parse_accept(demanded), {EXPLICIT, J2K}, one=False)


@pytest.mark.parametrize(
    ("accept", "stored", "form"),
    [
        ("", J2K, OCTETS),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", J2K, OCTETS),
        ('multipart/related; type="application/octet-stream"', IMPLICIT, OCTETS),
        (
            f'multipart/related; type="application/octet-stream"; transfer-syntax={EXPLICIT}',
            IMPLICIT,  # a frame's bytes are the same
            OCTETS,
        ),
        (
            f"multipart/related; type=application/octet-stream; transfer-syntax={EXPLICIT}",
            J2K,
            DECODED_FRAMES,
        ),
        (
            "multipart/related; type=application/octet-stream; transfer-syntax=*",
            J12,
            DECODED_FRAMES,
        ),
        (f"application/octet-stream; transfer-syntax={J12}", J12, Form(RAW, multipart=False)),
        ('multipart/related; type="image/jpeg"', J12, Form("image/jpeg", multipart=True)),
        ('multipart/related; type="image/jp2"', J2K, Form("image/jp2", multipart=True)),
        ('multipart/related; type="image/*"', J2K, Form("image/jp2", multipart=True)),
        ('multipart/related; type="image/jpeg"', J2K, None),
        ("image/jp2", J2K, Form("image/jp2", multipart=False)),
        (
            "multipart/related, application/octet-stream;q=0",
            J2K,
            Form("image/jp2", multipart=True),
        ),
        ("application/octet-stream", J2K, Form("application/octet-stream", multipart=False)),
    ],
)
def test_frames(accept: str, stored: str, form: Form | None) -> None:
    ranges = parse_accept(accept)
    if form is None:
        with pytest.raises(NotAcceptableError):
            choose_frames(ranges, stored, one=True)
    else:
        assert choose_frames(ranges, stored, one=True) == form


def test_bulk_data_is_single_unless_asked_otherwise() -> None:
    single = Form("application/octet-stream", multipart=False)
    assert choose_bulk(parse_accept("")) == choose_bulk(parse_accept("*/*")) == single
    assert choose_bulk(parse_accept("multipart/related; type=application/octet-stream")) == OCTETS
    with pytest.raises(NotAcceptableError):
        choose_bulk(parse_accept("application/pdf"))


@given(st.text(st.characters(max_codepoint=255), max_size=120), st.sampled_from([J2K, IMPLICIT]))
def test_any_accept_gives_a_form_or_our_error(accept: str, stored: str) -> None:
    try:
        form = choose_frames(parse_accept(accept), stored, one=False)
    except (InvalidRequestError, NotAcceptableError):
        return
    assert form.multipart


@given(st.lists(st.integers(1, 10**9 - 1), min_size=1, max_size=1000))
def test_frame_lists(numbers: list[int]) -> None:
    assert parse_frames(",".join(map(str, numbers))) == tuple(numbers)


@given(st.text(max_size=60))
def test_any_frame_list_is_read_or_refused(raw: str) -> None:
    try:
        numbers = parse_frames(raw)
    except InvalidRequestError:
        return
    assert min(numbers) >= 1


@pytest.mark.parametrize(
    "raw", ["", "0", "-1", "1,", ",1", "1,,2", "1 2", "٣", "1" * 10, "1," * 1000 + "1"]
)
def test_bad_frame_lists(raw: str) -> None:
    with pytest.raises(InvalidRequestError):
        parse_frames(raw)
