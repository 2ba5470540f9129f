# SPDX-License-Identifier: Apache-2.0
"""What the viewer's files may do in a browser (Content Security Policy level 3).

Invariant: no inline script, no generated code in the page, nothing from another origin; WebAssembly
compiles in the decode worker alone, which has no page to reach.
"""

from typing import Final

# Three <style> elements that libraries insert: one empty, two with fixed text. They change with the
# viewer's release; tests/e2e then reports what was blocked.
_STYLES: Final = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    "'sha256-Od9mHMH7x2G6QuoV3hsPkDCwIyqbg2DX3F5nLeCYQBc='",
    "'sha256-vGQdhYJbTuF+M8iCn1IZCHpdkiICocWHDq4qnQF4Rjw='",
)

DOCUMENT: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' {' '.join(_STYLES)}",
        "style-src-attr 'none'",
        "img-src 'self' data: blob:",  # thumbnails and captures
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'none'",
        "frame-src 'none'",  # documents open on a page of their own, as pictures
        "object-src 'none'",
        "media-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

# A worker obeys the policy of its own script's response, not the page's.
WORKER: Final = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"

# Style sheets, fonts, pictures and the configuration: inert when opened by themselves.
ASSET: Final = "default-src 'none'; frame-ancestors 'none'"
