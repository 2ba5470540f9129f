# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.domain.errors import InvalidRequestError
from radkeep.web.kit.media_types import MAX_RANGES, MediaType, parse_accept, parse_media_type


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("application/dicom", MediaType("application/dicom")),
        ("Application/DICOM", MediaType("application/dicom")),
        (
            'multipart/related; type="application/dicom"; boundary=x',
            MediaType("multipart/related", {"type": "application/dicom", "boundary": "x"}),
        ),
        (
            "multipart/related;type=application/octet-stream; transfer-syntax=*",
            MediaType(
                "multipart/related", {"type": "application/octet-stream", "transfer-syntax": "*"}
            ),
        ),
        (r'a/b; c="d\"e"', MediaType("a/b", {"c": 'd"e'})),
        ("a/b;", MediaType("a/b")),
    ],
)
def test_media_types(text: str, parsed: MediaType) -> None:
    assert parse_media_type(text) == parsed


@pytest.mark.parametrize("text", ["", "a", "a/", "/b", "a/b c", 'a/b; c="d', "a/b; =c", "a/b,c/d"])
def test_what_is_no_media_type_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        parse_media_type(text)


def test_preferences_order_the_ranges() -> None:
    ranges = parse_accept('a/b;q=0.1, multipart/related; type="c/d", e/f;q=0, g/h;q=0.5')
    assert [each.name for each in ranges] == ["multipart/related", "g/h", "a/b"]
    assert parse_accept("") == ()
    assert [each.name for each in parse_accept("a/b;q=0")] == ["nothing/nothing"]


@pytest.mark.parametrize("text", ["a/b;q=2", "a/b;q=x", "a/b c/d", ",".join(["a/b"] * 33)])
def test_malformed_lists_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        parse_accept(text)


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_any_text_gives_ranges_or_our_error(text: str) -> None:
    try:
        ranges = parse_accept(text)
    except InvalidRequestError:
        return
    assert len(ranges) <= MAX_RANGES
    assert all(0 < each.quality <= 1 for each in ranges)


@given(
    st.lists(
        st.tuples(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text('ab"\\;,/ ')),
        max_size=4,
        unique_by=lambda pair: pair[0],
    ).filter(lambda pairs: "q" not in dict(pairs))
)
def test_quoted_parameters_survive(parameters: list[tuple[str, str]]) -> None:
    quoted = [
        f'{name}="{value.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"'
        for name, value in parameters
    ]
    assert parse_media_type("; ".join(["a/b", *quoted])).parameters == dict(parameters)
