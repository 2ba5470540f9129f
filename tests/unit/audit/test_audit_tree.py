# SPDX-License-Identifier: Apache-2.0
"""Trees and proofs equal the recursive definitions of RFC 6962; a changed proof is refused."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radkeep.audit.tree import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    merkle_root,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from radkeep.domain.errors import IntegrityError

LEAVES = [leaf_hash(bytes([n])) for n in range(130)]
SIZES = st.integers(1, 130)
# Test data of the certificate-transparency project: inputs and roots of trees of 1 to 8 leaves.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def slow_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node_hash(slow_root(leaves[:k]), slow_root(leaves[k:]))


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def slow_path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*slow_path(m, leaves[:k]), slow_root(leaves[k:])]
    return [*slow_path(m - k, leaves[k:]), slow_root(leaves[:k])]


def slow_subproof(m: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    n = len(leaves)
    if m == n:
        return [] if whole else [slow_root(leaves)]
    k = split(n)
    if m <= k:
        return [*slow_subproof(m, leaves[:k], whole=whole), slow_root(leaves[k:])]
    return [*slow_subproof(m - k, leaves[k:], whole=False), slow_root(leaves[:k])]


@pytest.mark.parametrize(("size", "root"), ROOTS.items())
def test_known_roots(size: int, root: str) -> None:
    assert merkle_root(INPUTS[:size]).hex() == root


def test_the_empty_root() -> None:
    assert merkle_root([]) == EMPTY_ROOT == CompactRange().root()


@given(SIZES, st.data())
def test_proofs_equal_the_definition(size: int, data: st.DataObject) -> None:
    leaves = LEAVES[:size]
    assert root_of(leaves) == slow_root(leaves)
    index = data.draw(st.integers(0, size - 1))
    assert inclusion_proof(leaves, index) == slow_path(index, leaves)
    old = data.draw(st.integers(1, size))
    assert consistency_proof(leaves, old) == slow_subproof(old, leaves, whole=True)


@given(SIZES, st.data())
def test_inclusion_is_accepted_and_its_mutations_are_refused(
    size: int, data: st.DataObject
) -> None:
    leaves = LEAVES[:size]
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion_proof(leaves, index), root_of(leaves)
    verify_inclusion(leaves[index], index, size, proof, root)
    other = data.draw(
        st.integers(0, size - 1).filter(lambda i: i != index) if size > 1 else st.just(size)
    )
    attempts = [
        (leaves[index], other, size, proof, root),
        (leaf_hash(b"other"), index, size, proof, root),
        (leaves[index], index, size, [*proof, root], root),
        (leaves[index], index, size, proof, EMPTY_ROOT),
        (leaves[index], -1, size, proof, root),
    ]
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        bit = data.draw(st.integers(0, 255))
        changed = list(proof)
        changed[place] = (int.from_bytes(proof[place], "big") ^ (1 << bit)).to_bytes(32, "big")
        attempts += [
            (leaves[index], index, size, changed, root),
            (leaves[index], index, size, proof[:-1], root),
        ]
    for attempt in attempts:
        with pytest.raises(IntegrityError):
            verify_inclusion(*attempt)


@given(SIZES, st.data())
def test_consistency_is_accepted_and_its_mutations_are_refused(
    size: int, data: st.DataObject
) -> None:
    leaves = LEAVES[:size]
    old = data.draw(st.integers(0, size))
    proof, root, old_root = consistency_proof(leaves, old), root_of(leaves), root_of(leaves[:old])
    verify_consistency(old, old_root, size, root, proof)
    forged = root_of([*leaves[: old - 1], leaf_hash(b"other")]) if old else leaf_hash(b"")
    attempts = [
        (old, forged, size, root, proof),
        (size, root, old - 1, old_root, proof),
        (old, old_root, size, root, [*proof, root]),
    ]
    if old:
        attempts.append((old, old_root, size, leaf_hash(b"other"), proof))
    for place in range(len(proof)):
        changed = list(proof)
        changed[place] = bytes(32)
        attempts.append((old, old_root, size, root, changed))
        attempts.append((old, old_root, size, root, proof[:place]))
    for attempt in attempts:
        with pytest.raises(IntegrityError):
            verify_consistency(*attempt)


@given(SIZES)
@settings(max_examples=30)
def test_a_range_can_be_kept_and_goes_on(size: int) -> None:
    tree = CompactRange()
    for leaf in LEAVES[:size]:
        tree.append(leaf)
    kept = CompactRange.restore(tree.size, tree.nodes)
    kept.append(LEAVES[0])
    assert kept.root() == root_of([*LEAVES[:size], LEAVES[0]])
    for nodes in ((*tree.nodes, EMPTY_ROOT), tree.nodes[1:], [n[1:] for n in tree.nodes]):
        with pytest.raises(IntegrityError):
            CompactRange.restore(tree.size, nodes)


def test_proofs_of_what_is_not_there_are_a_mistake() -> None:
    for index in (-1, 3):
        with pytest.raises(ValueError, match="leaf"):
            inclusion_proof(LEAVES[:3], index)
        with pytest.raises(ValueError, match="larger"):
            consistency_proof(LEAVES[:2], index)
