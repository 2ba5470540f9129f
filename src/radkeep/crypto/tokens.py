# SPDX-License-Identifier: Apache-2.0
"""Bearer tokens: random, shown once, stored as a digest only.

Invariant: a token carries 256 bits from the system's generator and no meaning.
"""

import secrets
from typing import Final

from radkeep.crypto.digest import equal, token_digest

__all__ = ["TOKEN_BYTES", "equal", "is_token", "new_token", "token_digest"]

TOKEN_BYTES: Final = 32


def new_token() -> str:
    """Return a new token: 43 characters of the URL-safe base64 alphabet (RFC 4648 Section 5)."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def is_token(token: str, digest: bytes) -> bool:
    """Tell whether ``digest`` is that of ``token``, in constant time."""
    return equal(token_digest(token), digest)
