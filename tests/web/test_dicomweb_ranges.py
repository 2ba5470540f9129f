# SPDX-License-Identifier: Apache-2.0
"""Parts of bulk data, and one instance by WADO-URI."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from radkeep.audit.events import EventId
from radkeep.web.kit.ranges import RangeNotSatisfiableError, window_of
from radkeep.web.kit.requests import Incoming

if TYPE_CHECKING:
    from tests.web.conftest import Web

UID = "1.2.826.0.1.3680043.8.498.9"
INSTANCE = f"/dicom-web/studies/{UID}.1/series/{UID}.1.1/instances/{UID}.1.1.1"
PIXELS = bytes(range(256)) * 1024
EXPLICIT = "1.2.840.10008.1.2.1"
Make = Callable[..., bytes]


@pytest.fixture
def filled(web: "Web", make_file: Make) -> "Web":
    assert web.store(make_file(pixels=PIXELS)).status_code == 200
    return web


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=70000-70099", 70_000, 70_100),
        ("bytes=262143-", 262_143, 262_144),
        ("bytes=-10", 262_134, 262_144),
        ("bytes=-999999999", 0, 262_144),
        ("bytes=10-99999999999", 10, 262_144),
    ],
)
def test_a_range_gives_these_bytes(filled: "Web", asked: str, start: int, stop: int) -> None:
    address = f"{INSTANCE}/bulkdata/7FE00010"
    answer = filled.send("GET", address, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == PIXELS[start:stop]
    assert int(answer.headers["content-length"]) == stop - start
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(PIXELS)}"


@pytest.mark.parametrize("asked", ["bytes=262144-", "bytes=999999999-9999999999", "bytes=-0"])
def test_a_range_beyond_the_end_is_416(filled: "Web", asked: str) -> None:
    answer = filled.send("GET", f"{INSTANCE}/bulkdata/7FE00010", headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(PIXELS)}"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Range": "bytes=5-4"},
        {"Range": "bytes=0-1,5-6"},
        {"Range": "lines=1-2"},
        {"Range": "bytes=0-1", "If-Range": '"x"'},
    ],
)
def test_any_other_gives_the_whole(filled: "Web", headers: dict[str, str]) -> None:
    answer = filled.send("GET", f"{INSTANCE}/bulkdata/7FE00010", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.content == PIXELS


@given(st.text(st.characters(max_codepoint=255), max_size=40), st.integers(0, 10**6))
def test_any_range_is_a_window_or_nothing_or_ours(raw: str, length: int) -> None:
    header = [(b"range", raw.encode("latin-1"))]
    request = Incoming({"type": "http", "method": "GET", "headers": header})
    assert isinstance(request, Request)
    try:
        window = window_of(request, length)
    except RangeNotSatisfiableError:
        return
    assert window is None or 0 <= window[0] < window[1] <= length


@given(st.integers(0, 400), st.integers(0, 400), st.integers(1, 300))
def test_windows_are_as_slices(first: int, last: int, length: int) -> None:
    header = [(b"range", f"bytes={first}-{last}".encode())]
    request = Incoming({"type": "http", "method": "GET", "headers": header})
    expected = list(range(length))[first : last + 1]
    try:
        window = window_of(request, length)
    except RangeNotSatisfiableError:
        assert not expected
        return
    if first > last:
        assert window is None
    else:
        assert window is not None
        assert list(range(*window)) == expected


def wado(**more: str) -> str:
    names = {
        "requestType": "WADO",
        "studyUID": f"{UID}.1",
        "seriesUID": f"{UID}.1.1",
        "objectUID": f"{UID}.1.1.1",
        "contentType": "application/dicom",
    }
    return "/wado?" + urlencode({key: value for key, value in (names | more).items() if value})


def test_wado_uri_gives_the_file(filled: "Web", make_file: Make) -> None:
    for address in (wado(), wado(transferSyntax=EXPLICIT), wado(charset="utf-8", foo="bar")):
        answer = filled.get(address)
        assert answer.status_code == 200
        assert answer.content == make_file(pixels=PIXELS)
        assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert answer.headers["cache-control"] == "no-store"
    (event,) = filled.house.audit.of(EventId.INSTANCES_ACCESSED)
    assert event.detail == {"purpose": "wado-uri"}


@pytest.mark.parametrize(
    ("more", "accept", "status"),
    [
        ({"contentType": "application/xml"}, None, 406),
        ({"transferSyntax": "1.2.840.10008.1.2.4.90"}, None, 406),
        ({}, "text/html", 406),
        ({}, "text/html, */*;q=0.1", 200),
        ({"requestType": "QIDO"}, None, 400),
        ({"requestType": ""}, None, 400),
        ({"studyUID": ""}, None, 400),
        ({"objectUID": "1.x"}, None, 400),
        ({"anonymize": "yes"}, None, 400),
        ({"transferSyntax": "explicit"}, None, 400),
        ({"objectUID": f"{UID}.1.1.9"}, None, 404),
        ({"studyUID": f"{UID}.2"}, None, 404),
    ],
)
def test_wado_uri_says_no(
    filled: "Web", more: dict[str, str], accept: str | None, status: int
) -> None:
    answer = filled.get(wado(**more), accept)
    assert answer.status_code == status
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"


def test_wado_uri_takes_each_parameter_once_and_needs_the_right_to_read(filled: "Web") -> None:
    assert filled.get(f"{wado()}&studyUID={UID}.2").status_code == 400
    assert filled.send("GET", wado(), token=filled.house.token("dicomweb:write")).status_code == 403
    assert filled.send("GET", wado(), token="").status_code == 401
