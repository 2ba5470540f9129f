# SPDX-License-Identifier: Apache-2.0
"""The audit log's public key as a file, ``audit.pub``: copied away, it lets others verify.

Invariant: a server starts only with the file that belongs to its keyring, so a log that was
replaced together with the file is noticed at the next start.
"""

import base64
import binascii
from pathlib import Path
from typing import Final

from radkeep.audit.checkpoint import origin
from radkeep.crypto.sign import VerifyKey, note_verifier
from radkeep.domain.errors import ConfigError, IntegrityError

AUDIT_KEY_FILE: Final = "audit.pub"


def audit_key_text(key: VerifyKey) -> str:
    """Return the log's public key as other tools read it (C2SP signed-note verifier)."""
    return note_verifier(origin(key), key) + "\n"


def read_audit_key(path: Path) -> VerifyKey:
    """Return the public key that ``audit_key_text`` wrote.

    Raises:
        ConfigError: no such file, or no key in it.
    """
    try:
        encoded = path.read_text(encoding="ascii").strip().split("+", 2)[-1]
        raw = base64.b64decode(encoded, validate=True)
        return VerifyKey(raw[1:])
    except (OSError, ValueError, binascii.Error, IntegrityError) as error:
        raise ConfigError("the audit log's public key cannot be read") from error


def require_audit_key(path: Path, key: VerifyKey) -> None:
    """Return only if the file at ``path`` holds ``key``, the one of the keyring.

    Raises:
        ConfigError: no such file, or no key in it.
        IntegrityError: it holds another key.
    """
    if read_audit_key(path).raw != key.raw:
        raise IntegrityError("audit.pub is not the key of this keyring; somebody replaced it")
