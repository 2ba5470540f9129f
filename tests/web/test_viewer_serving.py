# SPDX-License-Identifier: Apache-2.0
"""The viewer over HTTP: who gets its page, what browsers may keep, what its files may do."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from radkeep.domain.actor import Actor, ActorKind
from radkeep.domain.errors import UnauthenticatedError
from radkeep.identity.permissions import Permission
from radkeep.web.application import application
from radkeep.web.kit.authentication import Authentication
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Kit
from radkeep.web.kit.threads import Threads
from radkeep.web.portal.frames import Frames
from radkeep.web.portal.routes import page_surface
from radkeep.web.viewer import policy
from radkeep.web.viewer.routes import open_viewer, viewer_routes
from radkeep.web.viewer.serving import Viewer
from radkeep.web.viewer.tree import Tree

BUILD = "0123456789ab"
PAGE = "/viewer/viewer?StudyInstanceUIDs=1.2.3"
FILES = {
    "index.html": f'<html><script src="/viewer/{BUILD}/boot.js"></script></html>'.encode(),
    "boot.js": b"window.PUBLIC_URL='/viewer/';",
    "app.css": b"a{}",
    "font.woff2": b"wOF2",
}


class Somebody(Authentication):
    """Everybody is a radiologist, or nobody is anybody."""

    def __init__(self, permissions: frozenset[str] | None) -> None:
        self._permissions = permissions

    def actor(self, request: Incoming) -> Actor:
        if self._permissions is None:
            raise UnauthenticatedError("sign in")
        return Actor(
            kind=ActorKind.PERSON,
            id="p",
            name="dr@clinic.example",
            organization="o",
            permissions=self._permissions,
        )


READER = frozenset({Permission.STUDY_READ})


def tree(folder: Path) -> Tree:
    lines = []
    for name, data in sorted(FILES.items()):
        lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
        packed = name != "font.woff2"
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(data) if packed else data)
    listing = "".join(lines)
    (folder / "SHA256SUMS").write_text(listing)
    return Tree.open(folder, hashlib.sha256(listing.encode()).hexdigest())


def client(viewer: Viewer, permissions: frozenset[str] | None = READER) -> TestClient:
    kit = Kit(authentication=Somebody(permissions), threads=Threads(workers=1))
    surface = page_surface(kit, Frames(demo=False))
    app = application(viewer_routes(surface, viewer), not_found=surface)
    return TestClient(app, base_url="https://localhost", follow_redirects=False)


@pytest.fixture
def viewer(tmp_path: Path) -> Viewer:
    return Viewer(tree=tree(tmp_path))


def test_the_page_is_for_people_who_may_read(viewer: Viewer) -> None:
    page = client(viewer).get(PAGE)
    assert page.status_code == 200
    assert page.content == FILES["index.html"]
    assert page.headers["content-security-policy"] == policy.DOCUMENT
    assert page.headers["cache-control"] == "no-store"
    sent = client(viewer, None).get(PAGE)
    expected = "/sign-in?next=/viewer/viewer%3FStudyInstanceUIDs%3D1.2.3"
    assert (sent.status_code, sent.headers["location"]) == (303, expected)
    assert client(viewer, frozenset()).get(PAGE).status_code == 403


def test_the_list_is_the_portal_s(viewer: Viewer) -> None:
    for path in ("/viewer", "/viewer/"):
        assert client(viewer).get(path).headers["location"] == "/studies"


@pytest.mark.parametrize(
    ("name", "csp", "media_type"),
    [
        ("boot.js", policy.WORKER, "text/javascript; charset=utf-8"),
        ("app.css", policy.ASSET, "text/css; charset=utf-8"),
        ("font.woff2", policy.ASSET, "font/woff2"),
    ],
)
def test_files_of_the_build_are_kept_for_ever(
    viewer: Viewer, name: str, csp: str, media_type: str
) -> None:
    browser = client(viewer)
    for coding, sent in (("gzip, br", "gzip"), ("identity", None), ("gzip;q=0", None)):
        file = browser.get(f"/viewer/{BUILD}/{name}", headers={"accept-encoding": coding})
        assert file.content == FILES[name]  # the client inflates
        assert file.headers.get("content-encoding") == (None if name == "font.woff2" else sent)
    assert file.headers["content-security-policy"] == csp
    assert file.headers["content-type"] == media_type
    assert "immutable" in file.headers["cache-control"]
    assert file.headers["x-content-type-options"] == "nosniff"
    again = browser.get(f"/viewer/{BUILD}/{name}", headers={"if-none-match": file.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    stranger = client(viewer, None).get(f"/viewer/{BUILD}/{name}")  # could hold it unread
    assert (stranger.status_code, stranger.content) == (303, b"")


@pytest.mark.parametrize(
    "name", ["index.html", "SHA256SUMS", "boot.js.gz", "../SHA256SUMS", "%2e%2e/SHA256SUMS", ""]
)
def test_nothing_else_is_a_file(viewer: Viewer, name: str) -> None:
    assert client(viewer, None).get(f"/viewer/{BUILD}/{name}").status_code in {404, 303}
    if not name.endswith("/SHA256SUMS"):  # which a client makes another path of
        assert client(viewer).get(f"/viewer/{BUILD}/{name}").status_code == 404


@pytest.mark.parametrize("may_store", [True, False])
def test_the_configuration_is_for_one_person(viewer: Viewer, *, may_store: bool) -> None:
    rights = READER | ({Permission.INSTANCE_STORE} if may_store else set())
    script = client(viewer, rights).get("/viewer/app-config.js")
    assert script.headers["cache-control"] == "no-store"
    assert script.headers["content-type"].startswith("text/javascript")
    values = json.loads(script.text.splitlines()[0].removeprefix("window.config = ")[:-1])
    assert values["demo"] is False
    assert values["dataSources"][0]["configuration"]["supportsStow"] is may_store


def test_without_the_viewer_its_page_names_the_command(tmp_path: Path) -> None:
    absent = open_viewer(str(tmp_path))
    page = client(absent).get(PAGE)
    assert page.status_code == 503
    assert "make viewer" in page.text
    assert "Studies are safe" in page.text
