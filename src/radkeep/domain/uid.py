# SPDX-License-Identifier: Apache-2.0
"""Unique identifiers (PS3.5 Section 9.1).

Invariant: whoever holds a ``Uid`` need not check it again; it is never used to build a path.
"""

import re
from typing import Final, Self

from radkeep.domain.errors import InvalidUidError

_UID: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")
MAX_LENGTH: Final = 64  # characters, PS3.5 Section 9.1


class Uid(str):
    """A well-formed UID."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Return ``raw`` as a UID, without the trailing NUL of PS3.5 Section 9.1.

        Raises:
            InvalidUidError: more than 64 characters, a character other than digits and dots, an
                empty component or a leading zero.
        """
        text = raw.removesuffix("\0")
        if len(text) > MAX_LENGTH or not _UID.fullmatch(text):
            raise InvalidUidError("not a valid DICOM UID")
        return cls(text)
