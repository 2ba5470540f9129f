# SPDX-License-Identifier: Apache-2.0
"""The root key under a key file beside the data: for demos, it protects nothing from a thief.

Invariant: the key file is the owner's alone; one that others may read is refused. That only demos
use this provider is checked by ``config``.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from radkeep.crypto.providers.rootfile import (
    create_root,
    open_root,
    read_root,
    refuse_existing,
    write_private,
)
from radkeep.crypto.seal import KEY
from radkeep.domain.errors import ConfigError, IntegrityError

NAME: Final = "file"
KEY_FILE: Final = "root.key"


class FileProvider:
    """A KeyProvider that asks nobody."""

    def __init__(self, directory: Path) -> None:
        """Keep ``root.json`` and ``root.key`` in ``directory``."""
        self._directory = directory

    def create(self) -> bytes:
        """Return a new root key stored under a new key file.

        Raises:
            AlreadyExistsError: the directory has a root key.
        """
        refuse_existing(self._directory)
        kek = secrets.token_bytes(KEY)
        write_private(self._directory / KEY_FILE, kek)
        return create_root(self._directory, NAME, kek, {})

    def unlock(self) -> bytes:
        """Return the root key.

        Raises:
            WrongPassphraseError: the key file is another one.
            ConfigError: there is no key file, or others may read it, or no root key under one.
            IntegrityError: what is stored is damaged.
        """
        stored = read_root(self._directory, NAME)
        try:
            descriptor = os.open(self._directory / KEY_FILE, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise ConfigError("the root key file cannot be read") from None
        with os.fdopen(descriptor, "rb") as file:
            if os.fstat(descriptor).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError("the root key file may be read by others than its owner")
            kek = file.read(KEY + 1)
        if len(kek) != KEY:
            raise IntegrityError("the root key file is damaged")
        return open_root(stored, kek)
