# SPDX-License-Identifier: Apache-2.0
"""Security headers of each surface (OWASP ASVS 5.0 Sections 3.4 and 14.3).

Invariant: nothing that leaves may be framed by, scripted from or cached for another origin.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

NO_STORE: Final = "no-store"

BASE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cache-Control": NO_STORE,
    }
)

INERT_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

# DICOM and JSON: whatever a body claims to be, a browser treats it as inert.
DATA: Final[Mapping[str, str]] = MappingProxyType({**BASE, "Content-Security-Policy": INERT_POLICY})
PAGES: Final[Mapping[str, str]] = MappingProxyType({**BASE, "Content-Security-Policy": PAGE_POLICY})

# One year; only for certificates that browsers trust by themselves, else people are locked out
# when the private authority is not installed.
TRANSPORT: Final = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
