# SPDX-License-Identifier: Apache-2.0
"""Merkle trees and their proofs (RFC 6962 Section 2.1, RFC 9162 Section 2.1), pure.

Invariant: leaf and node hashes have different prefixes, so no node passes for a leaf. A check
returns nothing and raises ``IntegrityError`` unless the proof is exactly the one for its place.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, Self

from radkeep.domain.errors import IntegrityError

HASH: Final = 32  # bytes
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
_sha256 = hashlib.sha256


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256(0x00 || entry)."""
    return _sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node: SHA-256(0x01 || left || right)."""
    return _sha256(b"\1" + left + right).digest()


class CompactRange:
    """The full subtrees of a growing tree: enough for its root, at most one hash a level."""

    __slots__ = ("_nodes", "size")

    def __init__(self) -> None:
        self.size = 0
        self._nodes: list[bytes] = []  # widest subtree first

    @classmethod
    def restore(cls, size: int, nodes: Sequence[bytes]) -> Self:
        """Return the range that had ``size`` and ``nodes``.

        Raises:
            IntegrityError: no range has them. That they are the right ones shows in ``root``.
        """
        if size < 0 or len(nodes) != size.bit_count() or any(len(n) != HASH for n in nodes):
            raise IntegrityError("a stored compact range is malformed")
        restored = cls()
        restored.size, restored._nodes = size, list(nodes)
        return restored

    @property
    def nodes(self) -> tuple[bytes, ...]:
        """The subtrees' hashes, widest first."""
        return tuple(self._nodes)

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        size, nodes = self.size, self._nodes
        while size & 1:
            leaf = _sha256(b"\1" + nodes.pop() + leaf).digest()
            size >>= 1
        nodes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree so far."""
        if not self._nodes:
            return EMPTY_ROOT
        root = self._nodes[-1]
        for left in reversed(self._nodes[:-1]):
            root = node_hash(left, root)
        return root


def merkle_root(entries: Iterable[bytes]) -> bytes:
    """Return the root over ``entries``, which are hashed as leaves."""
    tree = CompactRange()
    for entry in entries:
        tree.append(leaf_hash(entry))
    return tree.root()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    tree = CompactRange()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the proof that leaf ``index`` is in the tree over ``leaves``, deepest hash first.

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise ValueError("no such leaf")
    proof: list[bytes] = []
    start, stop = 0, len(leaves)
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            proof.append(root_of(leaves[middle:stop]))
            stop = middle
        else:
            proof.append(root_of(leaves[start:middle]))
            start = middle
    proof.reverse()
    return proof


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """Return the proof that the tree over ``leaves`` grew from its first ``old_size`` leaves.

    Raises:
        ValueError: ``old_size`` is not within 0..len(leaves).
    """
    if not 0 <= old_size <= len(leaves):
        raise ValueError("the old tree is larger than the new one")
    if old_size in (0, len(leaves)):
        return []
    proof: list[bytes] = []
    start, stop = 0, len(leaves)
    whole = True  # the old tree's part of start..stop is the old tree itself
    while old_size != stop:
        middle = start + _split(stop - start)
        if old_size <= middle:
            proof.append(root_of(leaves[middle:stop]))
            stop = middle
        else:
            proof.append(root_of(leaves[start:middle]))
            start, whole = middle, False
    if not whole:
        proof.append(root_of(leaves[start:stop]))
    proof.reverse()
    return proof


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that ``leaf`` is leaf ``index`` of the tree with ``size`` and ``root``.

    Raises:
        IntegrityError: it is not (RFC 9162 Section 2.1.3.2).
    """
    if not 0 <= index < size:
        raise IntegrityError("no such leaf in the tree")
    node, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise IntegrityError("an inclusion proof is too long")
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    if last or result != root:
        raise IntegrityError("an inclusion proof does not lead to the root")


def verify_consistency(
    old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree with ``size`` and ``root`` grew from that with ``old_size``.

    Raises:
        IntegrityError: it did not (RFC 9162 Section 2.1.4.2).
    """
    if not 0 <= old_size <= size:
        raise IntegrityError("the tree has shrunk")
    if old_size in (0, size):
        if proof or old_root != (root if old_size else EMPTY_ROOT):
            raise IntegrityError("a consistency proof does not lead to the roots")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise IntegrityError("a consistency proof is too short")
    node, last = old_size - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    if _fold(node, last, path) != (old_root, root):
        raise IntegrityError("a consistency proof does not lead to the roots")


def _fold(node: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the old and the new root that a consistency proof leads to."""
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise IntegrityError("a consistency proof is too long")
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise IntegrityError("a consistency proof is too short")
    return old, new


def _split(size: int) -> int:
    """Return the largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1
