# SPDX-License-Identifier: Apache-2.0
"""Keys sealed under other keys (docs/formats/sealed-parts.md).

Invariant: a wrapped key opens only under its own wrapping key and context; no part sealed for
another purpose ever opens as a key.
"""

from typing import Final

from radkeep.crypto.seal import KEY, seal, sealed_length, unseal
from radkeep.domain.errors import IntegrityError

WRAPPED: Final = sealed_length(KEY)  # bytes of one wrapped key: 112
_LABEL: Final = b"\xff\xffwrap\0"  # no context of seal.context starts so


def wrap(kek: bytes, key: bytes, context: bytes) -> bytes:
    """Return ``key``, 32 bytes, sealed under ``kek`` for ``context``.

    Raises:
        ValueError: a key does not have 32 bytes.
    """
    if len(key) != KEY:
        raise ValueError("a wrapped key has 32 bytes")
    return seal(kek, _LABEL + context, key)


def unwrap(kek: bytes, wrapped: bytes, context: bytes) -> bytes:
    """Return the key in ``wrapped``.

    Raises:
        IntegrityError: it was not wrapped by ``kek`` for ``context``, or was changed.
    """
    if len(wrapped) != WRAPPED:
        raise IntegrityError("a wrapped key has the wrong length")
    return unseal(kek, _LABEL + context, wrapped)
