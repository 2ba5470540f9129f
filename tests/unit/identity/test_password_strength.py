# SPDX-License-Identifier: Apache-2.0
"""Passwords that are refused, and those that must not be."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.identity.strength import LONGEST, SHORTEST, WeakPasswordError, require_strong

JANE = ["jane.doe@mercy.org", "Jane Doe", "Mercy General"]


@pytest.mark.parametrize(
    "password",
    [
        "shortpass12",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "123456789012",
        "qwertyuiop12345",
        "1qaz2wsx3edc",
        "passwordpassword",
        "P@ssw0rd1234!",
        "Radiology2026!!!",
        "Radkeep-Radkeep-1",
        "Welcome2Hospital",
        "Summer2026!!!!",
        "Mercy-General-1!",
        "jane.doe@mercy.org1",
        "JaneDoe19840607",
        "Correct Horse Battery Staple!",
        "ILoveYouForever!!",
        "poiuytrewqlkjh",
        "".join(chr(ord(c) + 0xFEE0) for c in "passwordpassword"),  # full-width letters
    ],
)
def test_easy_passwords_are_refused(password: str) -> None:
    with pytest.raises(WeakPasswordError):
        require_strong(password, context=JANE)


@pytest.mark.parametrize(
    "password",
    [
        "tiger-lamp-orbit-94",
        "correct pony battery stapler",
        "zQ8#kd0!vLw2",
        "ein kleiner grüner Kaktus",
        "密码 很长 的 一句话 我 记得 住",
        "Ünïcödé " * 7 + "tiger kettle",
    ],
)
def test_good_passwords_are_taken(password: str) -> None:
    require_strong(password, context=JANE)


def test_eleven_characters_are_too_few_and_twelve_are_enough() -> None:
    with pytest.raises(WeakPasswordError):
        require_strong("zQ8#kd0!vLw2"[: SHORTEST - 1])
    require_strong("zQ8#kd0!vLw2")


def test_context_matters() -> None:
    require_strong("Zweibrucken-2031-x")
    with pytest.raises(WeakPasswordError):
        require_strong("Zweibrucken-2031-x", context=["Zweibrücken", "zweibrucken"])


@given(st.text(max_size=LONGEST + 8))
def test_any_text_is_taken_or_refused(password: str) -> None:
    with contextlib.suppress(WeakPasswordError):
        require_strong(password, context=JANE)
