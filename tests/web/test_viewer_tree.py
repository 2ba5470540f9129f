# SPDX-License-Identifier: Apache-2.0
"""The viewer's files: the tools that change them, and the tree that the server trusts."""

import gzip
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from radkeep.web.viewer import policy, tree
from radkeep.web.viewer.app_config import app_config
from radkeep.web.viewer.tree import Tree, ViewerAbsentError, plain

TOOLS = Path(__file__).resolve().parents[2] / "tools" / "viewer"
FILES = {
    "index.html": b'<html><script src="/viewer/0123456789ab/boot.js"></script></html>',
    "boot.js": b"window.PUBLIC_URL='/viewer/0123456789ab/';",
    "decode.wasm": b"\0asm",
    "font.woff2": b"wOF2",
    "licenses/ohif-app.txt": b"MIT",
}


def make(folder: Path, files: dict[str, bytes] = FILES) -> str:
    """Write ``files`` as the tools do; return the id."""
    lines = []
    for name, data in sorted(files.items()):
        lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in {".html", ".js", ".wasm", ".txt"}:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(data, mtime=0))
        else:
            path.write_bytes(data)
    (folder / "SHA256SUMS").write_text("".join(lines))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_whole_tree_is_served(tmp_path: Path) -> None:
    found = Tree.open(tmp_path, make(tmp_path))
    assert found.build == "0123456789ab"
    assert set(found.assets) == set(FILES)
    assert {name: plain(asset) for name, asset in found.assets.items()} == FILES
    assert found.assets["decode.wasm"].media_type == "application/wasm"
    assert found.assets["font.woff2"].is_packed is False


def test_an_absent_tree_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ViewerAbsentError, match="make viewer"):
        Tree.open(tmp_path / "nowhere")


def test_another_tree_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(ViewerAbsentError, match="another release"):
        Tree.open(tmp_path, "0" * 64)


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("damage", ["change", "remove", "garble"])
def test_a_changed_file_is_refused(tmp_path: Path, name: str, damage: str) -> None:
    expected = make(tmp_path)
    path = tmp_path / name
    packed = path.with_name(f"{path.name}.gz")
    target = packed if packed.exists() else path
    if damage == "remove":
        target.unlink()
    elif damage == "change":
        evil = FILES[name] + b"evil"
        target.write_bytes(gzip.compress(evil) if target is packed else evil)
    else:
        target.write_bytes(target.read_bytes()[:-3] + b"\xff\xff\xff")
    with pytest.raises(ViewerAbsentError):
        Tree.open(tmp_path, expected)


def test_the_server_expects_the_tree_that_the_lock_makes() -> None:
    lock = json.loads((TOOLS / "viewer.lock.json").read_text())
    assert lock["tree"] == tree.TREE_ID
    assert all(re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", it) for it in lock["packages"].values())
    assert "://" not in (TOOLS / "viewer.lock.json").read_text()


def test_the_tree_that_is_installed_here_is_whole() -> None:
    if not (tree.default_directory() / tree.SUMS).exists():
        pytest.skip("the viewer is not here; make viewer builds it")
    found = Tree.open(tree.default_directory())
    html = plain(found.assets["index.html"]).decode()
    assert f"/viewer/{found.build}/app.bundle" in html
    assert not re.search(r"<script(?![^>]* src=)", html)
    scripts = {name: plain(asset) for name, asset in found.assets.items() if name.endswith(".js")}
    assert not [name for name, text in scripts.items() if b'__webpack_require__.p="/"' in text]
    assert not [name for name in found.assets if name.startswith(("ort/", "sw.js", "app-config"))]


def test_the_configuration_is_json_that_cannot_end_the_script() -> None:
    evil = "/s/</script><script>alert(1)</script>\u2028"
    text = app_config(may_store=False, base=evil, dicomweb=f"{evil}/dicom-web")
    first = text.splitlines()[0] if "\u2028" not in text else ""
    values = json.loads(first.removeprefix("window.config = ").removesuffix(";"))
    assert values["routerBasename"] == evil
    assert "<" not in first
    (source,) = values["dataSources"]
    assert source["configuration"]["supportsStow"] is False
    assert values["showStudyList"] is False
    assert json.loads(app_config(may_store=True).splitlines()[0][16:-1])["dataSources"][0][
        "configuration"
    ]["supportsStow"]


@pytest.mark.parametrize("word", ["dicomjson", "dicomwebproxy", "dicomlocal", "configUrl", "http:"])
def test_no_address_can_name_another_source(word: str) -> None:
    assert word.lower() not in app_config(may_store=True).lower()


def test_the_policies_allow_no_inline_script_and_no_other_origin() -> None:
    for text in (policy.DOCUMENT, policy.WORKER):
        directives = dict(part.split(" ", 1) for part in text.split("; "))
        assert directives["default-src"] == "'none'"
        assert "'unsafe-inline'" not in text
        assert "'unsafe-eval'" not in text
        assert not re.search(r"https?:|\*", text)
    document = dict(part.split(" ", 1) for part in policy.DOCUMENT.split("; "))
    for directive in ("object-src", "frame-src", "base-uri", "form-action", "frame-ancestors"):
        assert document[directive] == "'none'"
    assert document["script-src"] == "'self'"


@pytest.fixture
def rewrite(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(TOOLS))
    yield __import__("rewrite")
    sys.modules.pop("rewrite")


PUBLISHED = (
    '<html><head><script>window.PUBLIC_URL="/"</script><link rel="manifest" href="/manifest.json">'
    '<link rel="apple-touch-icon" href="/assets/a.png"><script src="/app-config.js"></script>'
    '<script src="/init-service-worker.js"></script><title>OHIF Viewer</title>'
    "<script>function browserImportFunction(n){return import(n)}</script>"
    '<script defer src="/app.bundle.js"></script><link href="/app.css" rel="stylesheet"></head>'
)


def test_the_index_loads_only_our_files(rewrite: ModuleType) -> None:
    html = rewrite.index(PUBLISHED, "/viewer/abc/")
    assert re.findall(r'(?:src|href)="([^"]+)"', html) == [
        "/static/icon.svg",
        "/viewer/abc/boot.js",
        "/viewer/app-config.js",
        "/viewer/abc/app.bundle.js",
        "/viewer/abc/app.css",
    ]
    assert "<script>" not in html


def test_a_changed_release_is_noticed(rewrite: ModuleType) -> None:
    for html in (
        PUBLISHED.replace("<script>", "<script><!--", 1).replace("<script>function", "<scrip>"),
        PUBLISHED.replace("/app-config.js", "/config.js"),
    ):
        with pytest.raises(rewrite.ChangedUpstreamError):
            rewrite.index(html, "/viewer/abc/")


def test_bundles_lose_generated_code_and_root_paths(rewrite: ModuleType) -> None:
    source = (
        '__webpack_require__.p = "/";\nfunction compileConstructor(dtype, dimension) {\n  old }\n'
        "textElement.setAttribute('style', combinedStyle)\n//# sourceMappingURL=a.map"
    )
    text, paths, compilers = rewrite.script(source, "/viewer/abc/")
    assert (paths, compilers) == (1, 1)
    assert '__webpack_require__.p = "/viewer/abc/";' in text
    assert "setAttribute('style'" not in text
    assert "sourceMappingURL" not in text
    assert text.index("class View") < text.index("old }")
    assert (
        rewrite.style("a{src:url(/x.woff2)}", "/viewer/abc/") == "a{src:url(/viewer/abc/x.woff2)}"
    )
