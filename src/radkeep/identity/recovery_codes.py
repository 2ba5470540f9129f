# SPDX-License-Identifier: Apache-2.0
"""Recovery codes: each replaces the second factor once.

Invariant: a code has 120 random bits. That is more than the 112 from which SP 800-63B-4 Section
3.1.2.2 asks for a plain digest only, and a digest can be looked up without trying all of them.
"""

import base64
import re
import secrets
from collections.abc import Sequence
from typing import Final

from radkeep.crypto.tokens import token_digest

COUNT: Final = 10
_BYTES: Final = 15
_GROUP: Final = 4
_CODE: Final = re.compile(r"[A-Z2-7]{24}")


def new_codes() -> Sequence[str]:
    """Return ten new codes as people see them: six groups of four letters and digits."""
    codes = [base64.b32encode(secrets.token_bytes(_BYTES)).decode() for _ in range(COUNT)]
    return ["-".join(code[i : i + _GROUP] for i in range(0, len(code), _GROUP)) for code in codes]


def parse(typed: str) -> bytes | None:
    """Return the digest of a recovery code, however it is grouped, or None if it is none."""
    code = re.sub(r"[\s-]", "", typed).upper().translate({ord("0"): "O", ord("1"): "I"})
    return token_digest(code) if _CODE.fullmatch(code) else None
