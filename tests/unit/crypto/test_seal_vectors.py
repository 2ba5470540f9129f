# SPDX-License-Identifier: Apache-2.0
"""The format is what its page says: golden vectors, and an independent implementation agrees."""

import base64
import hashlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radkeep.crypto.seal import CHUNK, context, seal, unseal
from radkeep.crypto.wrap import unwrap, wrap
from radkeep.domain.errors import IntegrityError

TESTS = Path(__file__).resolve().parents[2]
VECTORS = json.loads((TESTS / "vectors" / "sealed-parts.json").read_text())


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TESTS / "independent" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


independent = load("sealed_parts")


def test_the_independent_reader_knows_nothing_of_us() -> None:
    for path in (TESTS / "independent").glob("*.py"):
        text = path.read_text()
        assert "import radkeep" not in text
        assert "from radkeep" not in text


@pytest.mark.parametrize("vector", VECTORS["parts"], ids=lambda v: f"{v['length']} bytes")
def test_golden_parts(vector: dict[str, str | int]) -> None:
    length, key = int(vector["length"]), bytes.fromhex(str(vector["key"]))
    plain = hashlib.shake_256(f"plain {length}".encode()).digest(length)
    where = context(
        str(vector["organization"]),
        bytes.fromhex(str(vector["object_id"])),
        str(vector["part"]),
        int(vector["version"]),
    )
    assert where.hex() == vector["context"]
    salt = bytes.fromhex(str(vector["header"]))[:32]
    sealed = independent.seal_part(key, salt, where, plain)
    assert hashlib.sha256(sealed).hexdigest() == vector["sealed_sha256"]
    if "sealed" in vector:
        assert base64.b64decode(str(vector["sealed"])) == sealed
    assert unseal(key, where, sealed) == plain
    assert independent.open_part(key, where, sealed) == plain


def test_golden_wrapped_key() -> None:
    vector = {name: bytes.fromhex(value) for name, value in VECTORS["wrapped_key"].items()}
    assert unwrap(vector["kek"], vector["wrapped"], vector["context"]) == vector["key"]
    opened = independent.open_wrapped(vector["kek"], vector["context"], vector["wrapped"])
    assert opened == vector["key"]


@given(st.sampled_from([0, 1, 17, CHUNK, CHUNK + 1]), st.binary(min_size=32, max_size=32))
@settings(max_examples=25)
def test_the_independent_reader_opens_what_we_seal(length: int, key: bytes) -> None:
    plain, where = bytes(length), context("", key, "head", 3)
    assert independent.open_part(key, where, seal(key, where, plain)) == plain


KEK, KEY = bytes(32), bytes(range(32))


def test_wrapped_keys_open_only_in_their_place() -> None:
    wrapped = wrap(KEK, KEY, b"here")
    assert len(wrapped) == 112
    assert unwrap(KEK, wrapped, b"here") == KEY
    for kek, wrong, where in (
        (KEY, wrapped, b"here"),
        (KEK, wrapped, b"there"),
        (KEK, wrapped[:-1], b"here"),
        (KEK, wrapped + b"\0", b"here"),
        (KEK, seal(KEK, b"here", KEY), b"here"),
    ):
        with pytest.raises(IntegrityError):
            unwrap(kek, wrong, where)
    with pytest.raises(ValueError, match="32 bytes"):
        wrap(KEK, b"short", b"here")
