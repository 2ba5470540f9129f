# SPDX-License-Identifier: Apache-2.0
"""Bearer tokens: random, shown once, stored as a digest only.

Invariant: a token carries 256 bits from the system's generator and no meaning.
"""

import secrets
from typing import Final

from radkeep.crypto.digest import sha256

TOKEN_BYTES: Final = 32
_LABEL: Final = b"radkeep/1 token\0"


def new_token() -> str:
    """Return a new token: 43 characters of the URL-safe base64 alphabet (RFC 4648 Section 5)."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_digest(token: str) -> bytes:
    """Return what is stored of ``token``, in place of the token itself.

    A plain hash is enough: a token holds 256 random bits and cannot be guessed from its digest.
    """
    return sha256(_LABEL, token.encode())
