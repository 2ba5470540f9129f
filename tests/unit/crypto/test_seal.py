# SPDX-License-Identifier: Apache-2.0
"""What is opened is what was sealed, at that place, in that context; anything else is refused."""

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import example, given, settings
from hypothesis import strategies as st

from radkeep.crypto.digest import hkdf
from radkeep.crypto.seal import (
    CHUNK,
    HEADER,
    TAG,
    Opener,
    Sealer,
    chunk_count,
    chunk_span,
    context,
    seal,
    sealed_length,
    unseal,
)
from radkeep.domain.errors import IntegrityError

KEY = bytes(range(32))
HERE = context("org", b"object", "body", 1)
FULL = CHUNK + TAG
LENGTHS = st.one_of(
    st.integers(0, 100), st.sampled_from([CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7])
)


def pattern(length: int) -> bytes:
    return (bytes(range(251)) * (length // 251 + 1))[:length]


@given(LENGTHS)
def test_round_trip(length: int) -> None:
    sealed = seal(KEY, HERE, pattern(length))
    assert len(sealed) == sealed_length(length)
    assert unseal(KEY, HERE, sealed) == pattern(length)


@given(LENGTHS, st.data())
@settings(max_examples=60)
def test_any_changed_bit_is_refused(length: int, data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, HERE, pattern(length)))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(IntegrityError):
        unseal(KEY, HERE, bytes(sealed))


@given(LENGTHS, st.data())
@settings(max_examples=60)
@example(2 * CHUNK, None)
def test_any_cut_or_longer_part_is_refused(length: int, data: st.DataObject | None) -> None:
    sealed = seal(KEY, HERE, pattern(length))
    borders = [HEADER + n * FULL for n in range(chunk_count(length))]
    cuts = borders if data is None else [data.draw(st.integers(0, len(sealed) - 1))]
    for cut in cuts:
        with pytest.raises(IntegrityError):
            unseal(KEY, HERE, sealed[:cut])
    for more in (b"\0", bytes(TAG), sealed[HEADER:]):
        with pytest.raises(IntegrityError):
            unseal(KEY, HERE, sealed + more)


def test_chunks_cannot_change_places() -> None:
    sealed = seal(KEY, HERE, pattern(3 * CHUNK))
    chunks = [sealed[HEADER + n * FULL : HEADER + (n + 1) * FULL] for n in range(3)]
    with pytest.raises(IntegrityError):
        unseal(KEY, HERE, sealed[:HEADER] + chunks[1] + chunks[0] + chunks[2])
    with pytest.raises(IntegrityError):
        unseal(KEY, HERE, sealed[:HEADER] + chunks[0] + chunks[2])
    other = seal(KEY, HERE, pattern(3 * CHUNK))
    with pytest.raises(IntegrityError):
        unseal(KEY, HERE, sealed[: HEADER + FULL] + other[HEADER + FULL :])


@pytest.mark.parametrize(
    "elsewhere",
    [
        context("other", b"object", "body", 1),
        context("org", b"other", "body", 1),
        context("org", b"object", "head", 1),
        context("org", b"object", "body", 2),
    ],
)
def test_a_part_opens_only_where_it_belongs(elsewhere: bytes) -> None:
    sealed = seal(KEY, HERE, b"plain")
    with pytest.raises(IntegrityError):
        unseal(KEY, elsewhere, sealed)
    with pytest.raises(IntegrityError):
        unseal(bytes(32), HERE, sealed)


def test_context_fields_do_not_run_together() -> None:
    assert context("ab", b"c", "d", 1) != context("a", b"bc", "d", 1)
    with pytest.raises(ValueError, match="field"):
        context("x" * 0xFFFF, b"", "", 1)


def test_the_key_commitment_is_checked_before_any_chunk() -> None:
    sealed = seal(KEY, HERE, b"plain")
    header = sealed[:32] + bytes(32)
    with pytest.raises(IntegrityError, match="belong"):
        Opener(KEY, HERE, header)


def test_equal_plain_texts_give_different_parts() -> None:
    assert seal(KEY, HERE, b"x")[:32] != seal(KEY, HERE, b"x")[:32]


@given(st.lists(st.integers(1, 3), max_size=4), st.integers(0, CHUNK))
@settings(max_examples=30)
def test_streaming_gives_a_part_like_any_other(groups: list[int], tail: int) -> None:
    sealer, out = Sealer(KEY, HERE), bytearray()
    plain = pattern(sum(groups) * CHUNK + (tail or (1 if groups else 0)))
    buffer, read = memoryview(bytearray(4 * FULL)), 0
    for count in groups:
        written = sealer.seal_into(
            memoryview(plain)[read : read + count * CHUNK], buffer, last=False
        )
        assert written == count * FULL
        out += buffer[:written]
        read += count * CHUNK
    out += buffer[: sealer.seal_into(memoryview(plain)[read:], buffer, last=True)]
    assert unseal(KEY, HERE, sealer.header + bytes(out)) == plain


def test_chunks_are_sealed_whole_in_order_and_once() -> None:
    buffer = memoryview(bytearray(2 * FULL))
    sealer = Sealer(KEY, HERE)
    for plain, last in ((bytes(5), False), (b"", False)):
        with pytest.raises(ValueError, match="in order"):
            sealer.seal_into(memoryview(plain), buffer, last=last)
    sealer.seal_into(memoryview(bytes(CHUNK)), buffer, last=False)
    with pytest.raises(ValueError, match="in order"):
        sealer.seal_into(memoryview(b""), buffer, last=True)
    sealer.seal_into(memoryview(b"x"), buffer, last=True)
    with pytest.raises(ValueError, match="in order"):
        sealer.seal_into(memoryview(b"x"), buffer, last=True)
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(b"short", HERE)


@given(LENGTHS, st.data())
def test_ranges_equal_the_whole(total: int, data: st.DataObject) -> None:
    plain = pattern(total)
    start = data.draw(st.integers(0, total))
    stop = data.draw(st.integers(start, total))
    sealed = memoryview(seal(KEY, HERE, plain))
    opener = Opener(KEY, HERE, bytes(sealed[:HEADER]))
    span = chunk_span(start, stop, total)
    body = sealed[span.start : span.stop]
    got, buffer = b"", memoryview(bytearray(CHUNK))
    for number in range(span.first, span.end):
        chunk = body[(number - span.first) * FULL :][:FULL]
        last = span.last and number == span.end - 1
        opened = opener.open(number, chunk, last=last)
        assert bytes(buffer[: opener.open_into(number, chunk, buffer, last=last)]) == opened
        got += opened
    assert got[span.skip : span.skip + stop - start] == plain[start:stop]
    assert span.end - span.first <= (stop - start) // CHUNK + 2


def test_an_empty_chunk_behind_others_is_refused() -> None:
    whole = bytes(CHUNK)
    sealer, buffer = Sealer(KEY, HERE), memoryview(bytearray(FULL))
    sealer.seal_into(memoryview(whole), buffer, last=False)
    empty = sealer._cipher.encrypt((1).to_bytes(11, "big") + b"\1", b"", None)
    with pytest.raises(IntegrityError, match="short"):
        unseal(KEY, HERE, sealer.header + bytes(buffer) + empty)


def test_a_range_outside_is_a_mistake() -> None:
    for start, stop in ((-1, 2), (3, 2), (0, 11)):
        with pytest.raises(ValueError, match="range"):
            chunk_span(start, stop, 10)


def test_open_into_leaves_no_plain_text_behind_a_refusal() -> None:
    sealed = bytearray(seal(KEY, HERE, pattern(100)))
    sealed[-1] ^= 1
    opener = Opener(KEY, HERE, bytes(sealed[:HEADER]))
    out = memoryview(bytearray(b"?" * 100))
    with pytest.raises(IntegrityError):
        opener.open_into(0, memoryview(sealed)[HEADER:], out, last=True)
    assert not any(out)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(sealed: bytes) -> None:
    with pytest.raises(IntegrityError):
        unseal(KEY, HERE, sealed)


@given(st.binary(max_size=80), st.binary(max_size=80), st.integers(1, 200))
def test_hkdf_is_that_of_rfc_5869(salt: bytes, info: bytes, length: int) -> None:
    theirs = HKDF(SHA256(), length, salt, info).derive(KEY)
    assert hkdf(KEY, salt, info, length) == theirs


def test_hkdf_limits() -> None:
    for length in (0, 255 * 32 + 1):
        with pytest.raises(ValueError, match="HKDF"):
            hkdf(KEY, b"", b"", length)
