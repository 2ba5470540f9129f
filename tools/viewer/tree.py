# SPDX-License-Identifier: Apache-2.0
"""The tree as the server reads it: compressed files, their checksums, and one id for all.

Invariant: the id depends on content alone. Text is kept as ``NAME.gz`` only; ``SHA256SUMS`` lists
every file under its plain NAME with the digest of its plain bytes, so that another zlib changes
nothing, and the id is the SHA-256 of that list.
"""

import gzip
import hashlib
from pathlib import Path

SUMS = "SHA256SUMS"
PLACEHOLDER = "000000000000"  # stands for the build name while the tree is being made
COMPRESSED = {".css", ".html", ".js", ".json", ".svg", ".ttf", ".txt", ".wasm"}
TEXT = {".css", ".html", ".js"}


def stamp(tree: Path) -> str:
    """Give the build its name: the start of the digest of all files, written into their paths.

    Files are served for ever under a path with this name, so other content has another path.
    """
    build = hashlib.sha256(_list(tree).encode()).hexdigest()[: len(PLACEHOLDER)]
    for path in _files(tree):
        if path.suffix in TEXT:
            text = path.read_text("utf-8")
            if PLACEHOLDER in text:
                path.write_text(text.replace(f"/{PLACEHOLDER}/", f"/{build}/"), "utf-8")
    return build


def seal(tree: Path) -> tuple[int, int, str]:
    """Write the checksums, then compress; return the count of files, bytes on disk and the id."""
    sums = _list(tree)
    (tree / SUMS).write_text(sums, "utf-8")
    for path in _files(tree):
        if path.suffix in COMPRESSED:
            packed = gzip.compress(path.read_bytes(), 9, mtime=0)
            path.with_name(path.name + ".gz").write_bytes(packed)
            path.unlink()
    files = _files(tree)
    return len(files), sum(path.stat().st_size for path in files), tree_id(sums)


def tree_id(sums: str) -> str:
    """Return the id of the tree with these checksums."""
    return hashlib.sha256(sums.encode()).hexdigest()


def is_whole(tree: Path, expected: str) -> bool:
    """Tell whether ``tree`` is the one with id ``expected``, every file of it intact."""
    try:
        sums = (tree / SUMS).read_text("utf-8")
        return tree_id(sums) == expected and all(
            hashlib.sha256(plain(tree / name)).hexdigest() == digest
            for digest, _, name in (line.partition("  ") for line in sums.splitlines())
        )
    except (OSError, EOFError):
        return False


def plain(path: Path) -> bytes:
    """Return the plain bytes of a file that may lie there compressed."""
    packed = path.with_name(path.name + ".gz")
    return gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()


def _files(tree: Path) -> list[Path]:
    return sorted(p for p in tree.rglob("*") if p.is_file() and p.name != SUMS)


def _list(tree: Path) -> str:
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(tree).as_posix()}\n"
        for path in _files(tree)
    )
