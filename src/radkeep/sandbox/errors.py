# SPDX-License-Identifier: Apache-2.0
"""What can go wrong behind the door, in words that are ours and not a worker's."""

from typing import Final

from radkeep.domain.errors import (
    DamagedPixelsError,
    Kind,
    NotDecodableError,
    NotFoundError,
    RadkeepError,
    TooLargeError,
    UnavailableError,
)


class DecoderCrashedError(RadkeepError):
    """A worker ended, or answered nonsense, in the middle of a request."""

    kind, code = Kind.INTEGRITY, "decoder-crashed"


class DecoderTimeoutError(UnavailableError):
    """A worker took too long and was ended."""

    code = "decoder-timeout"


DAMAGED: Final = "damaged"
UNSUPPORTED: Final = "unsupported"
TOO_LARGE: Final = "too-large"
MISSING: Final = "missing"
BROKEN: Final = "broken"


def code_of(error: Exception) -> str:
    """Return the code by which a worker tells ``error``."""
    if isinstance(error, MemoryError | TooLargeError):
        return TOO_LARGE
    if isinstance(error, NotDecodableError):
        return UNSUPPORTED
    if isinstance(error, NotFoundError):
        return MISSING
    return DAMAGED if isinstance(error, RadkeepError) else BROKEN


def error_of(code: str) -> RadkeepError:
    """Return the error that a worker's answer names by ``code``."""
    if code == DAMAGED:
        return DamagedPixelsError("the pixel data is damaged or not what its attributes say")
    if code == UNSUPPORTED:
        return NotDecodableError("nothing here decodes this kind of image")
    if code == MISSING:
        return NotFoundError("the document has no such page")
    if code == TOO_LARGE:
        return TooLargeError("the image is larger than what may be decoded")
    return DecoderCrashedError("the decoder failed")
