# SPDX-License-Identifier: Apache-2.0
"""Every sentence of the attack model is shown by tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "attack-model.md"
CLAIM = re.compile(r"^(\d+)\. (.+?)(?=^\d+\. |^\S*\n?^## |\Z)", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")


def claims() -> list[tuple[int, str]]:
    return [(int(number), text) for number, text in CLAIM.findall(PAGE.read_text())]


@cache
def functions(path: Path) -> frozenset[str]:
    """Return the tests of a file, as pytest names them."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            inner = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            found |= {f"{node.name}::{each.name}" for each in inner}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
    return frozenset(each for each in found if each.rpartition("::")[2].startswith("test_"))


def test_claims_are_numbered_without_a_gap() -> None:
    numbers = [number for number, _ in claims()]
    assert numbers
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(("number", "text"), claims(), ids=lambda value: str(value)[:40])
def test_every_claim_names_tests_that_exist(number: int, text: str) -> None:
    named = NAMED.findall(text)
    assert named, f"sentence {number} names no test"
    assert len(named) == text.count("`tests/"), f"sentence {number}: a name is malformed"
    for file, test in named:
        path = ROOT / file
        assert path.is_file(), f"sentence {number}: no file {file}"
        assert test in functions(path), f"sentence {number}: no test {file}::{test}"


def test_every_named_test_belongs_to_a_claim() -> None:
    whole = NAMED.findall(PAGE.read_text())
    assert sum(len(NAMED.findall(text)) for _, text in claims()) == len(whole)
