# SPDX-License-Identifier: Apache-2.0
"""The viewer's files on disk, as ``make viewer`` left them.

Invariant: a tree is served only if it is the one this release was made with, every file of it
intact at start; a name from the wire is looked up in its list and never becomes a path.
"""

import gzip
import hashlib
import mimetypes
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from radkeep.domain.errors import UnavailableError

# The "tree" of tools/viewer/viewer.lock.json; a test compares them.
TREE_ID: Final = "f658eef1b82796679ab8079a513b6d3ecdff2da5d71a463b5914c7c0917894cf"
SUMS: Final = "SHA256SUMS"
INDEX: Final = "index.html"
BUILD_LENGTH: Final = 12  # hexadecimal digits that name the build in every asset's address
_MAX_FILE: Final = 64 << 20  # bytes, inflated; the largest of 3.13.2 has 9 MB

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}


class ViewerAbsentError(UnavailableError):
    """The viewer is not installed, or not the one that belongs to this release."""

    code = "viewer-absent"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the tree."""

    path: Path
    digest: str  # SHA-256 of the plain bytes, hexadecimal
    media_type: str
    is_packed: bool  # the file on disk is gzip


@dataclass(frozen=True, slots=True)
class Tree:
    """A verified viewer."""

    build: str
    assets: Mapping[str, Asset]

    @classmethod
    def open(cls, directory: Path, expected: str = TREE_ID) -> "Tree":
        """Return the tree in ``directory`` after reading every byte of it (about 0.3 s).

        Raises:
            ViewerAbsentError: nothing there, another tree, or a file that changed.
        """
        try:
            listing = (directory / SUMS).read_bytes()
        except OSError:
            raise ViewerAbsentError("the viewer is not installed; run: make viewer") from None
        if hashlib.sha256(listing).hexdigest() != expected:
            raise ViewerAbsentError("the viewer is of another release; run: make viewer")
        assets = {}
        for line in listing.decode().splitlines():
            digest, _, name = line.partition("  ")
            assets[name] = _verified(directory / name, digest)
        return cls(_build(assets[INDEX]), MappingProxyType(assets))


def default_directory() -> Path:
    """Return where ``make viewer`` puts the tree: beside the sources."""
    return Path(__file__).resolve().parents[4] / "build" / "viewer"


def _verified(path: Path, digest: str) -> Asset:
    packed = path.with_name(f"{path.name}.gz")
    is_packed = packed.is_file()
    try:
        data = _inflate(packed) if is_packed else path.read_bytes()
    except (OSError, EOFError, zlib.error):
        raise ViewerAbsentError("a file of the viewer is missing; run: make viewer") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise ViewerAbsentError("a file of the viewer was changed; run: make viewer")
    guessed, _ = mimetypes.guess_type(path.name)
    media_type = _TYPES.get(path.suffix, guessed or "application/octet-stream")
    return Asset(packed if is_packed else path, digest, media_type, is_packed)


def _inflate(path: Path) -> bytes:
    with gzip.open(path) as file:
        return file.read(_MAX_FILE)


def plain(asset: Asset) -> bytes:
    """Return the bytes of ``asset`` for the rare client that takes no gzip."""
    return _inflate(asset.path) if asset.is_packed else asset.path.read_bytes()


def _build(index: Asset) -> str:
    # The build names itself: index.html refers to every asset below /viewer/BUILD/.
    _, _, rest = plain(index).decode().partition('src="/viewer/')
    return rest[:BUILD_LENGTH]
