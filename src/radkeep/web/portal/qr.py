# SPDX-License-Identifier: Apache-2.0
"""A QR code as the address of an image, so that it needs no markup of its own in a page.

Invariant: the picture holds no style attribute, which the content security policy would refuse.
"""

from base64 import b64encode
from io import BytesIO

import segno


def qr_image(text: str) -> str:
    """Return a ``data:`` URI of ``text`` as a QR code in SVG, black on white in both schemes."""
    out = BytesIO()
    segno.make(text, micro=False, error="m").save(
        out, kind="svg", border=2, dark="#000", light="#fff", xmldecl=False, omitsize=True
    )
    return f"data:image/svg+xml;base64,{b64encode(out.getvalue()).decode()}"


def in_groups(key: str) -> str:
    """Return ``key`` in groups of four, as people read and type it."""
    return " ".join(key[at : at + 4] for at in range(0, len(key), 4))
