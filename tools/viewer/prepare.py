# SPDX-License-Identifier: Apache-2.0
"""OHIF's published folder, without what a PACS must not serve and with our changes.

Invariant: nothing in the tree talks to another origin, registers a service worker or is a default
configuration; the server writes ``app-config.js`` itself.
"""

import shutil
from pathlib import Path

import rewrite

# Service worker and its loader, sign-in pages of other systems, demo customizations, icons for
# home screens, and 136 MB of ONNX runtime that only the experimental marker tools would load.
DROPPED_STARTS = (
    "ort/",
    "customizations/",
    "assets/android",
    "assets/apple",
    "assets/browserconfig",
    "assets/coast",
    "assets/favicon",
    "assets/firefox",
    "assets/manifest",
    "assets/mstile",
    "assets/yandex",
)
DROPPED = {
    "_headers",
    "_redirects",
    "app-config.js",
    "es6-shim.min.js",
    "google.js",
    "init-service-worker.js",
    "manifest.json",
    "oidc-client.min.js",
    "polyfill.min.js",
    "serve.json",
    "silent-refresh.html",
    "sw.js",
}
DROPPED_ENDINGS = (".map", ".LICENSE.txt")  # notices stand in licenses/
PUBLIC_PATHS = 6  # bundles that start a worker or load another bundle carry one, at least
COMPILERS = 3  # bundles with a copy of ndarray
MAX_WORKER_BYTES = 2_000_000


def prepare(published: Path, out: Path, prefix: str) -> None:
    """Write the tree for ``prefix`` from folder ``published`` into the new folder ``out``.

    Raises:
        ChangedUpstreamError: a file is not as these changes expect.
    """
    paths = compilers = 0
    for source in sorted(p for p in published.rglob("*") if p.is_file()):
        name = source.relative_to(published).as_posix()
        if is_dropped(name):
            continue
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name == "index.html":
            target.write_text(rewrite.index(source.read_text("utf-8"), prefix), "utf-8")
        elif name.endswith(".js") and "/" not in name:
            text, found_paths, found = rewrite.script(source.read_text("utf-8"), prefix)
            paths, compilers = paths + found_paths, compilers + found
            target.write_text(text, "utf-8")
        elif name.endswith(".css"):
            target.write_text(rewrite.style(source.read_text("utf-8"), prefix), "utf-8")
        else:
            shutil.copyfile(source, target)
    (out / "boot.js").write_text(rewrite.boot(prefix), "utf-8")
    if paths < PUBLIC_PATHS or compilers != COMPILERS:
        raise rewrite.ChangedUpstreamError(f"{paths} public paths, {compilers} ndarray compilers")


def is_dropped(name: str) -> bool:
    """Tell whether the published file ``name`` stays out of the tree."""
    return name in DROPPED or name.startswith(DROPPED_STARTS) or name.endswith(DROPPED_ENDINGS)


def replace_worker(out: Path, worker: Path) -> None:
    """Put the rebuilt decode worker of folder ``worker`` in the place of the published one.

    The published one decodes JPEG 2000 and JPEG-LS with code generated at run time.

    Raises:
        ChangedUpstreamError: not exactly one bundle looks like the decode worker.
    """
    found = [
        path
        for path in out.glob("*.bundle.*.js")
        if path.stat().st_size < MAX_WORKER_BYTES
        and "decodeTask" in (text := path.read_text("utf-8"))
        and "J2KDecoder" in text
    ]
    if len(found) != 1:
        raise rewrite.ChangedUpstreamError(f"{len(found)} bundles look like the decode worker")
    shutil.copyfile(worker / "decode-worker.js", found[0])
    for module in worker.glob("*.wasm"):
        shutil.copyfile(module, out / module.name)


def copy_licenses(modules: Path, names: list[str], out: Path) -> None:
    """Copy the license of each package that went into the tree."""
    folder = out / "licenses"
    folder.mkdir()
    for name in names:
        for source in sorted((modules / name).glob("LICEN[CS]E*")):
            shutil.copyfile(source, folder / f"{name.strip('@').replace('/', '-')}.txt")
