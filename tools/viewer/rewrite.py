# SPDX-License-Identifier: Apache-2.0
"""Each change that OHIF's published files need to run under our policy, as text in, text out.

Invariant: a change that no longer finds its place raises, so that an upgrade cannot lose one in
silence. Why each is needed:

- the published files live at ``/``; ours live at a path that names the build, so that browsers may
  keep them for ever;
- inline scripts, ``new Function`` and ``setAttribute("style")`` are what the content security
  policy refuses (CSP level 3 Sections 6.6, 8.3).
"""

import re
from pathlib import Path

INLINE_SCRIPTS = 2  # in index.html of 3.13.2: PUBLIC_URL and browserImportFunction
_NDARRAY = (Path(__file__).parent / "ndarray.js").read_text("utf-8")
_COMPILER = re.compile(r"function compileConstructor\(dtype, dimension\) \{")


class ChangedUpstreamError(Exception):
    """A published file is not what these changes were written for."""


def boot(prefix: str) -> str:
    """Return ``boot.js``: what index.html said in its inline scripts."""
    return f'window.PUBLIC_URL="{prefix}";\nfunction browserImportFunction(n){{return import(n)}}\n'


def index(html: str, prefix: str) -> str:
    """Return index.html without inline scripts, service worker, manifest and foreign icons."""
    found = len(re.findall(r"<script>.*?</script>", html, re.DOTALL))
    if found != INLINE_SCRIPTS:
        raise ChangedUpstreamError(f"index.html has {found} inline scripts")
    for unwanted in (
        r"<script>.*?</script>",
        r'<script[^>]*src="/init-service-worker\.js"[^>]*></script>',
        r"<link[^>]*(?:icon|apple-touch|yandex|manifest\.json)[^>]*>",
        r'<meta name="(?:msapplication|apple-mobile|mobile-web|application-name)[^>]*>',
    ):
        html = re.sub(unwanted, "", html, flags=re.DOTALL)
    html = re.sub(r"<title>[^<]*</title>", "<title>Viewer - Radkeep</title>", html)
    html = re.sub(r'(href|src|content)="/(?!/)', rf'\1="{prefix}', html)
    # The configuration differs by session, so it stays outside the path that browsers keep.
    ours = (
        '<link rel="icon" type="image/svg+xml" href="/static/icon.svg">'
        f'<script src="{prefix}boot.js"></script><script src="/viewer/app-config.js"></script>'
    )
    html, configs = re.subn(r'<script[^>]*src="[^"]*/app-config\.js"[^>]*></script>', ours, html)
    if configs != 1:
        raise ChangedUpstreamError("index.html does not load app-config.js once")
    return html


def script(text: str, prefix: str) -> tuple[str, int, int]:
    """Return a bundle's text, and how many public paths and ndarray compilers were replaced."""
    text, paths = re.subn(
        r'__webpack_require__\.p = "/";', f'__webpack_require__.p = "{prefix}";', text
    )
    text = text.replace(
        "browserImportFunction('/dicom-microscopy-viewer/",
        f"browserImportFunction('{prefix}dicom-microscopy-viewer/",
    )
    # DICOM SEG reads and writes through ndarray, which compiles its classes with new Function.
    text, compilers = _COMPILER.subn(lambda found: f"{found.group()}\n{_NDARRAY}", text)
    text = text.replace(
        "textElement.setAttribute('style', combinedStyle)",
        "textElement.style.cssText = combinedStyle",
    )
    return re.sub(r"\n//# sourceMappingURL=.*", "", text), paths, compilers


def style(text: str, prefix: str) -> str:
    """Return a style sheet whose absolute addresses start with ``prefix``."""
    return re.sub(r"url\((['\"]?)/(?!/)", rf"url(\1{prefix}", text)
