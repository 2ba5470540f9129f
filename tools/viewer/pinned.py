# SPDX-License-Identifier: Apache-2.0
"""The viewer's packages: fetched through npm, unpacked only when their SHA-512 is the locked one.

Invariant: no package is installed and none of its scripts runs; the lock holds names, versions and
digests, never an address, so that any registry may serve the bytes.
"""

import base64
import hashlib
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ESBUILD_PLATFORMS = {"x86_64": "@esbuild/linux-x64", "aarch64": "@esbuild/linux-arm64"}


class FetchError(Exception):
    """A package cannot be had, or is not the one that was locked."""


@dataclass(frozen=True)
class Lock:
    """What was agreed on: each package's digest and the digest of the tree made of them."""

    tree: str  # see tree.tree_id; "" while a new one is being made
    packages: dict[str, str]  # "NAME@VERSION" -> "sha512-BASE64"

    @classmethod
    def read(cls, path: Path) -> "Lock":
        """Return the lock in file ``path``."""
        raw = json.loads(path.read_text("utf-8"))
        return cls(raw["tree"], raw["packages"])

    def write(self, path: Path) -> None:
        """Replace file ``path``."""
        text = json.dumps({"tree": self.tree, "packages": self.packages}, indent=2)
        path.write_text(text + "\n", "utf-8")


def needed(packages: Iterable[str]) -> list[str]:
    """Return those of ``packages`` that this machine needs: esbuild's binary comes per platform."""
    own = ESBUILD_PLATFORMS.get(platform.machine())
    if own is None:
        raise FetchError(f"no bundler for this processor ({platform.machine()}) is in the lock")
    return [p for p in packages if not p.startswith("@esbuild/") or name_of(p) == own]


def name_of(package: str) -> str:
    """Return NAME of ``NAME@VERSION``; scoped names begin with ``@`` themselves."""
    return package.rpartition("@")[0]


def pack(package: str, folder: Path) -> tuple[Path, str]:
    """Download ``package`` into ``folder``; return its archive and digest.

    Raises:
        FetchError: npm is absent or cannot get the package.
    """
    command = ["npm", "pack", "--silent", "--ignore-scripts", package]
    try:
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise FetchError("npm is not installed; on Debian: apt install npm") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise FetchError(f"npm could not get {package}: {reason[0]}") from None
    archive = folder / done.stdout.strip().splitlines()[-1]
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    return archive, f"sha512-{digest}"


def unpack(archive: Path, package: str, modules: Path) -> None:
    """Unpack ``archive`` to where node looks for ``package`` and delete it."""
    scratch = archive.with_suffix(".unpacked")
    with tarfile.open(archive) as tar:
        tar.extractall(scratch, filter="data")
    target = modules / name_of(package)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(next(scratch.iterdir()), target)
    scratch.rmdir()
    archive.unlink()
