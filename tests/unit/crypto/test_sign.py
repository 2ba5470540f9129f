# SPDX-License-Identifier: Apache-2.0
"""Signatures of RFC 8032 and notes that other tools can read."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.crypto.sign import (
    SigningKey,
    VerifyKey,
    note_verifier,
    open_note,
    sign_note,
)
from radkeep.domain.errors import IntegrityError

# The example of Go's golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
NOTE = (
    TEXT
    + "\n\N{EM DASH} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZS"
    "NXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_rfc_8032_first_vector() -> None:
    key = SigningKey.from_bytes(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )
    assert key.public.raw.hex().startswith("d75a980182b10ab7d54bfed3c964073a")
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a")
    key.public.verify(key.sign(b""), b"")


def test_only_the_key_signs() -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    signature = key.sign(b"message")
    assert SigningKey.from_bytes(key.to_bytes()).sign(b"message") == signature
    for verifier, wrong, message in (
        (other.public, signature, b"message"),
        (key.public, signature, b"massage"),
        (key.public, signature[:-1], b"message"),
        (key.public, b"", b"message"),
    ):
        with pytest.raises(IntegrityError):
            verifier.verify(wrong, message)
    with pytest.raises(IntegrityError):
        VerifyKey(b"short")


def test_a_note_of_another_tool_opens() -> None:
    key = VerifyKey(base64.b64decode(PETER.split("+", 2)[2])[1:])
    assert note_verifier("PeterNeumann", key) == PETER
    assert open_note(NOTE, "PeterNeumann", key) == TEXT


def test_notes_of_others_are_passed_over_and_ours_is_needed() -> None:
    key, witness = SigningKey.generate(), SigningKey.generate()
    text = "first\n\nsecond\n"
    note = sign_note(key, "log", text)
    cosigned = note + sign_note(witness, "witness", text).rsplit("\n\n", 1)[1]
    assert open_note(cosigned, "log", key.public) == text
    assert open_note(cosigned, "witness", witness.public) == text
    for name, public in (("log", witness.public), ("other", key.public)):
        with pytest.raises(IntegrityError):
            open_note(cosigned, name, public)


@given(st.data())
def test_any_changed_character_is_refused(data: st.DataObject) -> None:
    key = SigningKey.from_bytes(bytes(32))
    note = sign_note(key, "log", "a text\n")
    place = data.draw(st.integers(0, len(note) - 1))
    character = data.draw(st.sampled_from("a \n+/—A0").filter(lambda c: c != note[place]))
    changed = note[:place] + character + note[place + 1 :]
    try:
        assert open_note(changed, "log", key.public) == "a text\n"
    except IntegrityError:
        return
    # The last base64 character before "=" has bits that no signature bit depends on.
    assert place >= len(note) - 4


@given(st.text())
def test_any_text_is_refused(note: str) -> None:
    with pytest.raises(IntegrityError):
        open_note(note, "log", SigningKey.from_bytes(bytes(32)).public)


@pytest.mark.parametrize(("name", "text"), [("log", "no newline"), ("a b", "\n"), ("a+b", "\n")])
def test_a_note_has_a_form(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="note"):
        sign_note(SigningKey.from_bytes(bytes(32)), name, text)
