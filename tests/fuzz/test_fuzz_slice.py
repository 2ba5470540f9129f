# SPDX-License-Identifier: Apache-2.0
"""A short, repeatable slice of `make fuzz`: its seeds, its past findings, and damage to them."""

import random  # noqa: TID251 - seeded: the slice is the same each time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fuzz.targets import TARGETS, Target

FOUND = Path(__file__).parent / "found"
DAMAGED = 400  # inputs of a target beside seeds and findings


def _inputs(name: str, target: Target) -> Iterator[bytes]:
    found = [path.read_bytes() for path in sorted((FOUND / name).glob("*"))]
    seeds = [seed[: target.longest] for seed in target.seeds(())]
    yield b""
    yield from found
    yield from seeds
    dice = random.Random(name)
    for _ in range(DAMAGED):
        data = bytearray(dice.choice(seeds) if seeds else dice.randbytes(dice.randrange(200)))
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(data)) if data else 0
            match dice.randrange(4):
                case 0:
                    data[at : at + 1] = dice.randbytes(1)
                case 1:
                    del data[at : at + dice.randrange(1, 9)]
                case 2:
                    data[at:at] = dice.randbytes(dice.randrange(1, 9))
                case _:
                    data[at : at + 4] = dice.choice(
                        (b"\xff\xff\xff\xff", bytes(4), b"\0\0\xff\xff")
                    )
        yield bytes(data[: min(target.longest, 1_500)])


@pytest.mark.parametrize("name", TARGETS)
def test_slice(name: str) -> None:
    target = TARGETS[name]
    for data in _inputs(name, target):
        target.check(data)


def test_no_finding_lies_in_a_folder_that_nobody_reads() -> None:
    assert {path.name for path in FOUND.iterdir() if path.is_dir()} <= set(TARGETS)
