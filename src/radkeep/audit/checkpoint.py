# SPDX-License-Identifier: Apache-2.0
"""Signed tree heads in the form of C2SP tlog-checkpoint.

Invariant: a ``Checkpoint`` from ``parse_checkpoint`` was signed by the log's key; whoever signs
has checked that the tree grew from the last one signed.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from radkeep.audit.tree import HASH
from radkeep.crypto.digest import sha256
from radkeep.crypto.sign import SigningKey, VerifyKey, open_note, sign_note
from radkeep.domain.errors import IntegrityError

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log: how many entries, and the root over them."""

    size: int
    root: bytes


def origin(key: VerifyKey) -> str:
    """Return the name of the log that ``key`` signs; it names the key in notes, too."""
    return f"radkeep/audit/{sha256(key.raw).hex()[:16]}"


def sign_checkpoint(key: SigningKey, checkpoint: Checkpoint) -> str:
    """Return ``checkpoint`` as a signed note."""
    name = origin(key.public)
    root = base64.b64encode(checkpoint.root).decode()
    return sign_note(key, name, f"{name}\n{checkpoint.size}\n{root}\n")


def parse_checkpoint(note: str, key: VerifyKey) -> Checkpoint:
    """Return the checkpoint in ``note``.

    Raises:
        IntegrityError: the log's key did not sign it, or it is of another log.
    """
    name = origin(key)
    lines = open_note(note, name, key).split("\n")
    if len(lines) <= _LINES or lines[0] != name or not _SIZE.fullmatch(lines[1]):
        raise IntegrityError("a checkpoint is malformed")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError):
        raise IntegrityError("a checkpoint is malformed") from None
    if len(root) != HASH:
        raise IntegrityError("a checkpoint is malformed")
    return Checkpoint(int(lines[1]), root)
