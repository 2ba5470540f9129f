# SPDX-License-Identifier: Apache-2.0
"""Which passwords are too easy to guess (SP 800-63B-4 Section 3.1.1.2, ASVS 6.2).

Invariant: what counts is length and what is left when everything guessable is taken away: common
words, the person, the clinic, the product, runs on the keyboard, repetition. No rule asks for
kinds of characters, and none asks for a change by calendar.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Final

from radkeep.domain.errors import Kind, RadkeepError

SHORTEST: Final = 12  # characters; there is always a second factor
LONGEST: Final = 256  # characters
LEFT: Final = 6  # characters that must remain unguessable
KINDS: Final = 5  # different characters at least
_SHORTEST_WORD: Final = 4  # of context; "de" or "mr" would hit by chance
_RUN: Final = 3  # characters in a row on a keyboard or in the alphabet
_ROWS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "qazwsxedcrfvtgbyhnujmikolp",
)
_LOOKALIKES: Final = str.maketrans("@4301!5$78", "aaeoiisstb")
_YEAR: Final = re.compile(r"(?:19|20)[0-9]{2}")
_REPEATED: Final = re.compile(r"(.{1,6}?)\1+")
_FILL: Final = re.compile(r"[\W_]+")


class WeakPasswordError(RadkeepError):
    """The password is too short, too long or too easy to guess; the message says which."""

    kind, code = Kind.INVALID, "weak-password"


def require_strong(password: str, *, context: Iterable[str] = ()) -> None:
    """Return only if ``password`` may be used by somebody whom the ``context`` describes.

    Args:
        password: as typed; compared in NFKC and without regard to case.
        context: e-mail address, names, organization: texts that an attacker knows.

    Raises:
        WeakPasswordError: it may not.
    """
    if len(unicodedata.normalize("NFKC", password)) < SHORTEST:
        raise WeakPasswordError(f"a password has at least {SHORTEST} characters")
    if len(password) > LONGEST:
        raise WeakPasswordError(f"a password has at most {LONGEST} characters")
    folded = _fold(password)
    if len(set(folded)) < KINDS:
        raise WeakPasswordError("this password repeats a few characters")
    passwords, words = _lists()
    if folded in passwords or _bare(folded) in passwords:
        raise WeakPasswordError("this password is on every list of common passwords")
    guessable = sorted({*words, *_parts(context)}, key=len, reverse=True)
    # Look-alikes are read as letters only to find words: "p@ssw0rd" is "password", 2026 is not.
    if min(_left(folded, guessable), _left(folded.translate(_LOOKALIKES), guessable)) < LEFT:
        raise WeakPasswordError(
            "this password is made of words that are easy to guess: add some that are not"
        )


def _left(folded: str, guessable: Sequence[str]) -> int:
    """Return how many characters are left when all that is guessable is taken away."""
    text = folded
    for word in guessable:
        text = text.replace(word, " ")
    text = _YEAR.sub(" ", text)
    for row in (*_ROWS, *(row[::-1] for row in _ROWS)):
        text = _without_runs(text, row)
    text = _REPEATED.sub(r"\1", text)
    return len(_FILL.sub("", text))


def _without_runs(text: str, row: str) -> str:
    kept: list[str] = []
    start = 0
    while start < len(text):
        end = start + 1
        while end < len(text) and text[start : end + 1] in row:
            end += 1
        kept.append(" " if end - start >= _RUN else text[start])
        start = end if end - start >= _RUN else start + 1
    return "".join(kept)


def _parts(context: Iterable[str]) -> set[str]:
    """Return the words of ``context``, alone and joined, that are long enough to mean something."""
    found: set[str] = set()
    for text in context:
        words = [word for word in _FILL.split(_fold(text)) if word]
        found.update(words, ["".join(words)], _fold(text).split("@"), [_fold(text)])
    return {word for word in found if len(word) >= _SHORTEST_WORD}


def _bare(folded: str) -> str:
    return _FILL.sub("", folded)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


@cache
def _lists() -> tuple[frozenset[str], frozenset[str]]:
    """Return common long passwords and common words, from the files beside this module."""
    return _read("common_passwords.txt"), _read("common_words.txt")


def _read(name: str) -> frozenset[str]:
    text = (resources.files("radkeep.identity") / name).read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if line[:1] != "#" for word in line.split())
