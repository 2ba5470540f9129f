# SPDX-License-Identifier: Apache-2.0
"""Comparing two data sets takes a bounded time, whoever made them."""

import pytest

from radkeep.dicom import equality
from radkeep.dicom.encode import encode
from radkeep.dicom.equality import MAX_STEPS, same_elements

EXPLICIT = "1.2.840.10008.1.2.1"


def data_set(count: int) -> bytes:
    """Return ``count`` elements."""
    return encode([(0x00210010, "LO", "x")]) + b"".join(
        encode([((0x0021 + 2 * (n // 60_000)) << 16 | 0x1000 + n % 60_000, "LO", "A")])
        for n in range(count - 1)
    )


def test_endless_data_sets_are_called_different(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    equal = equality._equal

    def count(a: equality.Step, b: equality.Step) -> bool:
        nonlocal compared
        compared += 1
        return equal(a, b)

    monkeypatch.setattr(equality, "_equal", count)
    many = data_set(MAX_STEPS + 5_000)
    assert not same_elements(many, EXPLICIT, many[:-2] + b"B ", EXPLICIT)
    assert compared == MAX_STEPS


def test_many_elements_are_still_compared() -> None:
    some = data_set(20_000)
    assert same_elements(some, EXPLICIT, some, EXPLICIT)
    assert not same_elements(some, EXPLICIT, some[:-2] + b"B ", EXPLICIT)
