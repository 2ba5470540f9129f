# SPDX-License-Identifier: Apache-2.0
"""Where a record lies in the volumes.

Invariant: a placement never changes: volumes are appended to, and records are never moved.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The place of one record; enough to read it with the keyring at hand."""

    volume: str  # volume name: 32 hexadecimal digits
    offset: int  # bytes from the start of the volume file to the record's start marker
    length: int  # bytes of the whole record
    key_id: bytes  # 16 bytes: the study key in the keyring
