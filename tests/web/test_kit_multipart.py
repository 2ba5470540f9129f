# SPDX-License-Identifier: Apache-2.0
from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.domain.errors import InvalidRequestError, UnsupportedError
from radkeep.web.kit.media_types import parse_media_type
from radkeep.web.kit.multipart import MultipartBody, Part, PartReader, boundary_of


class Gathered:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.parts: list[tuple[Mapping[str, str], bytes]] = []
        self.ended = 0

    def begin(self, headers: Mapping[str, str]) -> None:
        self.parts.append((dict(headers), b""))

    def data(self, data: memoryview) -> None:
        headers, sofar = self.parts[-1]
        self.parts[-1] = (headers, sofar + bytes(data))

    def end(self) -> None:
        self.ended += 1


def read(body: bytes, *, boundary: bytes = b"frontier", piece: int = 7) -> Gathered:
    sink = Gathered()
    reader = PartReader(boundary, sink)
    for start in range(0, len(body), piece):
        reader.feed(body[start : start + piece])
    reader.finish()
    return sink


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=200),
            st.lists(
                st.sampled_from([b"\r\n", b"--", b"frontier", b"\r\n--fron", b"\r", b"x"]),
                max_size=8,
            )
            .map(b"".join)
            .filter(lambda data: b"\r\n--frontier" not in b"\r\n" + data),
        ).filter(lambda data: b"\r\n--frontier" not in data),
        min_size=1,
        max_size=5,
    ),
    st.integers(1, 50),
)
def test_parts_come_out_as_they_went_in(parts: list[bytes], piece: int) -> None:
    body = b"".join(b"\r\n--frontier\r\nContent-Type: a/b\r\n\r\n" + part for part in parts)
    sink = read(body + b"\r\n--frontier--", piece=piece)
    assert [data for _, data in sink.parts] == parts
    assert sink.ended == len(parts)
    assert all(headers == {"content-type": "a/b"} for headers, _ in sink.parts)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 100))
def test_what_is_written_is_read_again(parts: list[bytes], piece: int) -> None:
    body = MultipartBody("a/b", [Part("a/b; c=d", len(p), iter([p]), "/x") for p in parts])
    data = b"".join(body.pieces())
    assert len(data) == body.length
    boundary = boundary_of(parse_media_type(body.media_type))
    sink = read(data, boundary=boundary, piece=piece)
    assert [content for _, content in sink.parts] == parts
    assert sink.parts[0][0]["content-location"] == "/x"


@given(st.binary(max_size=300), st.integers(1, 40))
def test_any_bytes_are_read_or_refused(body: bytes, piece: int) -> None:
    with suppress(InvalidRequestError):
        read(b"--frontier\r\n" + body, piece=piece)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no multipart at all",
        b"--frontier\r\n\r\nends early",
        b"--frontier\r\n\r\ndata\r\n--frontier",
        b"--frontier\r\nContent Type: x\r\n\r\nx\r\n--frontier--",
        b"--frontier\r\n" + b"X: y\r\n" * 17 + b"\r\nx\r\n--frontier--",
        b"--frontier\r\nX: " + b"y" * 2000 + b"\r\n\r\nx\r\n--frontier--",
    ],
)
def test_bad_messages_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        read(body)


def test_what_follows_the_end_is_ignored() -> None:
    assert len(read(b"--frontier\r\n\r\nx\r\n--frontier--\r\nanything").parts) == 1


@pytest.mark.parametrize("boundary", ["", "x" * 201, "sp ace ", '"quo'])
def test_boundaries_are_short_and_plain(boundary: str) -> None:
    quoted = boundary.replace('"', '\\"')
    with pytest.raises(InvalidRequestError):
        boundary_of(parse_media_type(f'multipart/related; boundary="{quoted}"'))
    with pytest.raises(UnsupportedError):
        boundary_of(parse_media_type("multipart/form-data; boundary=x"))


@pytest.mark.parametrize("piece", [1, 7, 100_000])
@pytest.mark.parametrize("preamble", [b"", b"\r\n", b"read by nobody --frontier\r\n", b"\r\n\r\n"])
def test_a_preamble_is_skipped(preamble: bytes, piece: int) -> None:
    body = preamble + b"--frontier\r\nContent-Type: a/b\r\n\r\nwhole\r\n--frontier--"
    assert [data for _, data in read(body, piece=piece).parts] == [b"whole"]


@pytest.mark.parametrize("piece", [1, 1_000, 100_000])
def test_a_preamble_has_an_end(piece: int) -> None:
    body = b"x" * 4_095 + b"\r\n--frontier\r\nContent-Type: a/b\r\n\r\nwhole\r\n--frontier--"
    assert len(read(body[1:], piece=piece).parts) == 1
    with pytest.raises(InvalidRequestError):
        read(b"xx" + body, piece=piece)
