# SPDX-License-Identifier: Apache-2.0
"""The portal and the viewer in a real browser: nothing refused, nothing asked of other origins."""

import time
from collections.abc import Iterator

import pytest
from e2e_house import PHANTOM, Clinic, Looker, chromium, running, samples
from playwright.sync_api import Browser

from radkeep.web.viewer import tree

CONTRAST = 60  # gray levels between the darkest and the brightest pixel of a painted image
LEVELS = """canvases => canvases.map(canvas => {
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let low = 255, high = 0;
  for (let at = 0; at < pixels.length; at += 4 * 31) {
    low = Math.min(low, pixels[at]);
    high = Math.max(high, pixels[at]);
  }
  return high - low;
})"""
DEADLINE = 60.0  # seconds, with software rendering on a busy machine

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with running(tmp_path_factory.mktemp("e2e"), samples()) as clinic:
        yield clinic


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def looker(clinic: Clinic, browser: Browser) -> Iterator[Looker]:
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800})
    looker = Looker(context.new_page(), clinic.base)
    looker.page.goto(clinic.link())
    yield looker
    context.close()


def test_pages_work_without_scripts_and_without_complaints(
    clinic: Clinic, browser: Browser
) -> None:
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=False)
    looker = Looker(context.new_page(), clinic.base)
    page = looker.page
    page.goto(clinic.link())
    assert page.url == f"{clinic.base}/studies"
    page.get_by_label("Patient name").fill("ball")
    page.get_by_role("button", name="Search").click()
    assert "ball" not in page.url
    page.get_by_role("link", name="Ball, Gray", exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text() == "Ball, Gray"
    page.go_back()
    assert page.get_by_label("Patient name").input_value() == "ball"
    page.goto(f"{clinic.base}/demo")
    page.get_by_role("button", name="Become Sam Secretary").click()
    page.get_by_role("button", name="Sign out").click()
    assert page.url == f"{clinic.base}/sign-in"
    page.goto(f"{clinic.base}/studies")
    assert page.url.startswith(f"{clinic.base}/sign-in")
    assert looker.complaints == []
    context.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(looker: Looker, width: int) -> None:
    page = looker.page
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/studies", f"/studies/{PHANTOM}", "/account", "/demo", "/nowhere"):
        page.goto(f"{looker.base}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def wait_for_images(looker: Looker, count: int) -> None:
    start, found = time.monotonic(), []
    while time.monotonic() - start < DEADLINE:
        found = looker.page.eval_on_selector_all(".cornerstone-canvas", LEVELS)
        if len(found) >= count and all(contrast > CONTRAST for contrast in found[:count]):
            return
        looker.page.wait_for_timeout(250)
    text = looker.page.inner_text("body")[:200]
    pytest.fail(f"no images: {found}, {text!r}, {looker.complaints}")


def needs_viewer() -> None:
    if not (tree.default_directory() / tree.SUMS).exists():
        pytest.skip("the viewer is not here; make viewer builds it")


def test_the_viewer_paints_a_study_under_its_policy(looker: Looker) -> None:
    needs_viewer()
    page = looker.page
    page.goto(f"{looker.base}/studies/{PHANTOM}")
    page.get_by_role("link", name="Open in viewer").click()
    wait_for_images(looker, 1)
    assert page.url.endswith(f"/viewer/viewer?StudyInstanceUIDs={PHANTOM}")
    assert "DEMO" in page.inner_text("body")
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert "Ball" not in kept
    assert PHANTOM not in kept
    assert page.evaluate("indexedDB.databases().then(found => found.length)") == 0
    assert looker.complaints == []
    page.get_by_role("link", name="Back to the studies").click()
    assert page.url == f"{looker.base}/studies"


def test_slices_can_be_seen_from_three_sides(looker: Looker) -> None:
    needs_viewer()
    page = looker.page
    page.goto(
        f"{looker.base}/viewer/viewer?StudyInstanceUIDs={PHANTOM}&hangingProtocolId=mpr",
        wait_until="domcontentloaded",
    )
    wait_for_images(looker, 3)
    assert looker.complaints == []
