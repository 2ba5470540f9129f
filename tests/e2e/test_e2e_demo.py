# SPDX-License-Identifier: Apache-2.0
"""README's first command, as a visitor lives it: one link, a list, images, another person."""

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e_house import chromium
from playwright.sync_api import Page

from radkeep.testing.server import command, environment
from radkeep.web.viewer import tree

START = 60.0  # seconds, the first time, with keys and samples
AGAIN = 5.0  # seconds, the second time
DEADLINE = 60_000  # milliseconds, with software rendering on a busy machine

pytestmark = pytest.mark.timeout(240)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def demo(data: Path, deadline: float) -> Iterator[dict[str, str]]:
    """Run ``radkeep demo``; give what READY says, which must come within ``deadline``."""
    ports = ("--web-port", str(free_port()), "--dimse-port", str(free_port()))
    begun = time.monotonic()
    process = subprocess.Popen(
        command("demo", "--data", str(data), "--no-browser", *ports),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    watchdog = threading.Timer(START, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        taken = time.monotonic() - begun
        assert line.startswith("READY "), line
        assert taken < deadline
        yield json.loads(line.removeprefix("READY "))
        process.send_signal(signal.SIGINT)
        assert process.wait(START) == 0
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_a_visitor_sees_images_and_comes_back(tmp_path: Path) -> None:
    with demo(tmp_path / "demo", START) as ready, chromium() as browser:
        context = browser.new_context(ignore_https_errors=True)
        page = context.new_page()
        page.goto(ready["link"])
        assert page.get_by_role("heading", name="Studies").is_visible()
        assert "DEMO" in page.inner_text("body")
        for name in ("PHANTOM, NOT", "Yamada, Tarou", "Äneas, Rüdiger", "שרון"):
            assert page.locator("tbody a", has_text=name).count(), name
        look_at_the_phantom(page)
        page.goto(f"{ready['web']}/demo")
        page.get_by_role("button", name="Become Sam Secretary").click()
        page.goto(f"{ready['web']}/studies")
        assert page.get_by_role("link", name="View").count() == 0
        page.goto(ready["link"])  # works once
        assert page.get_by_role("heading", name="Studies").count() == 0
        context.close()
    with demo(tmp_path / "demo", AGAIN) as ready:
        assert ready["link"]


def look_at_the_phantom(page: Page) -> None:
    if not (tree.default_directory() / tree.SUMS).exists():
        return  # test_e2e_browser says that the viewer is not here
    page.locator("tbody a", has_text="PHANTOM, NOT").first.click()
    page.get_by_role("link", name="Open in viewer").click()
    page.wait_for_function(
        """() => [...document.querySelectorAll('.cornerstone-canvas')].some(canvas => {
          const all = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          return all.some((value, at) => at % 4 < 3 && value > 100);
        })""",
        timeout=DEADLINE,
    )
