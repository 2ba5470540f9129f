#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build the viewer: the OHIF release of ``viewer.lock.json``, made fit for our content policy.

Invariant: the folder OUT is either the locked tree, whole, or not there. Needs Python 3.11, npm and
node 18; downloads about 62 MB the first time and nothing when OUT is already the locked tree.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pinned
import prepare
import rewrite
import tree

HERE = Path(__file__).resolve().parent
LOCK = HERE / "viewer.lock.json"
PREFIX = f"/viewer/{tree.PLACEHOLDER}/"
NOT_SERVED = ("esbuild", "@esbuild/linux-x64", "@esbuild/linux-arm64")


def main() -> None:
    """Build, or say why not, with exit status 1."""
    parser = argparse.ArgumentParser(description="Build the viewer into folder OUT.")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument(
        "--update-lock", action="store_true", help="write new digests instead of checking them"
    )
    arguments = parser.parse_args()
    lock = pinned.Lock.read(LOCK)
    if not arguments.update_lock and tree.is_whole(arguments.out, lock.tree):
        print("viewer: up to date", flush=True)
        return
    try:
        build(arguments.out, lock, update=arguments.update_lock)
    except (pinned.FetchError, rewrite.ChangedUpstreamError) as error:
        sys.exit(f"viewer: {error}")
    except FileNotFoundError as error:
        sys.exit(f"viewer: {error.filename} is not installed; on Debian: apt install npm")
    except subprocess.CalledProcessError as error:
        sys.exit(f"viewer: {' '.join(error.cmd[:2])} failed")


def build(out: Path, lock: pinned.Lock, *, update: bool) -> None:
    """Make the tree in a folder of its own and put it in the place of ``out``."""
    start = time.monotonic()

    def say(step: str) -> None:
        print(f"viewer: {time.monotonic() - start:5.1f} s  {step}", flush=True)

    with tempfile.TemporaryDirectory(prefix="viewer-") as scratch:
        work = Path(scratch)
        digests = _fetch(lock, work, say, update=update)
        made, worker = work / "tree", work / "worker"
        shutil.copy(HERE / "build_worker.mjs", work)  # node looks for packages beside the script
        shutil.copy(HERE / "minify.mjs", work)
        say("removing what a browser must not get")
        prepare.prepare(work / "node_modules/@ohif/app/dist", made, PREFIX)
        say("building the decode worker")
        subprocess.run(["node", "build_worker.mjs", str(worker)], cwd=work, check=True)
        prepare.replace_worker(made, worker)
        say("minifying")
        subprocess.run(["node", "minify.mjs", str(made)], cwd=work, check=True)
        served = [pinned.name_of(package) for package in digests]
        prepare.copy_licenses(
            work / "node_modules", [name for name in served if name not in NOT_SERVED], made
        )
        say("compressing")
        name = tree.stamp(made)
        count, size, identity = tree.seal(made)
        if update:
            pinned.Lock(identity, digests).write(LOCK)
        elif identity != lock.tree:
            raise pinned.FetchError(f"the tree made is {identity}, not {lock.tree}")
        _replace(out, made)
    say(f"{count} files, {size / 1e6:.1f} MB, build {name}, tree {identity}")


def _fetch(
    lock: pinned.Lock, work: Path, say: Callable[[str], None], *, update: bool
) -> dict[str, str]:
    wanted = pinned.needed(lock.packages)
    digests = {}
    for package in lock.packages if update else wanted:
        say(f"fetching {package}")
        archive, digest = pinned.pack(package, work)
        if not update and digest != lock.packages[package]:
            raise pinned.FetchError(f"{package} is {digest}, not what the lock says")
        digests[package] = digest
        if package in wanted:
            pinned.unpack(archive, package, work / "node_modules")
    return digests


def _replace(out: Path, made: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(f".{out.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(made, beside)  # another file system, perhaps: a rename alone would not do
    if out.exists():
        shutil.rmtree(out)
    beside.rename(out)


if __name__ == "__main__":
    main()
