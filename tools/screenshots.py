#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a running demo's pages and viewer, for people who judge how they look.

Invariant: only looks: it signs in by the link, follows links and saves PNG files; what a browser
reports (blocked by policy, requests to other origins, script errors) is printed and fails the run.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
VIEWER_DEADLINE = 60.0  # seconds to the first image, software rendering included
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
# Looked at and harmless: a dialog's scroll lock wants a style element of its own.
KNOWN = ("react-remove-scroll",)
NOWHERE = "/nowhere"  # shows the page of a problem; browsers complain of its 404


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base", help="address of the server, https://localhost:8443")
    parser.add_argument("link", help="the sign-in link that the demo printed")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--studies", type=int, default=3, help="how many to open in the viewer")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    complaints: list[str] = []
    with chromium() as browser:
        context = browser.new_context(ignore_https_errors=True)
        page = context.new_page()
        watch(page, arguments.base, complaints)
        page.goto(arguments.link)
        studies = take_pages(page, arguments.base, arguments.out)
        for number, address in enumerate(studies[: arguments.studies], start=1):
            take_viewer(page, address, arguments.out / f"viewer-{number}.png")
    for complaint in complaints:
        print(complaint)
    sys.exit(1 if complaints else 0)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the system's Chromium, without display."""
    path = shutil.which("chromium")
    if path is None:
        sys.exit("chromium is not installed; on Debian: apt install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def watch(page: Page, base: str, complaints: list[str]) -> None:
    """Collect what the browser complains about."""
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(base))

    def say(kind: str, text: str) -> None:
        if not any(word in text for word in KNOWN) and not page.url.endswith(NOWHERE):
            complaints.append(f"{kind}: {text[:300]}")

    page.on("console", lambda said: say("console", said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: say("script", str(error)))
    page.on(
        "request",
        lambda sent: (
            None
            if sent.url.startswith((origin, "data:", "blob:"))
            else say("foreign request", sent.url)
        ),
    )


def take_pages(page: Page, base: str, out: Path) -> list[str]:
    """Save the portal's pages in both schemes and sizes; return addresses of the viewer."""
    page.goto(f"{base}/studies")
    opens = [link.get_attribute("href") or "" for link in page.query_selector_all("td a")]
    study = page.query_selector("tbody th a")
    pages = {"studies": "/studies", "account": "/account", "demo": "/demo", "problem": NOWHERE}
    if study is not None:
        pages["study"] = study.get_attribute("href") or ""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            for name, path in pages.items():
                page.goto(f"{base}{path}")
                page.screenshot(path=out / f"{name}-{scheme}-{size}.png", full_page=True)
    page.set_viewport_size({"width": 1400, "height": 900})
    return [f"{base}{path}" for path in opens]


def take_viewer(page: Page, address: str, picture: Path) -> None:
    """Open a study, wait until an image is painted, and save what is seen."""
    start = time.monotonic()
    page.goto(address, wait_until="domcontentloaded")
    while time.monotonic() - start < VIEWER_DEADLINE:
        if any(
            found > CONTRAST for found in page.eval_on_selector_all(".cornerstone-canvas", LEVELS)
        ):
            break
        page.wait_for_timeout(500)
    print(f"{picture.name}: {time.monotonic() - start:.1f} s")
    page.screenshot(path=picture)


if __name__ == "__main__":
    main()
