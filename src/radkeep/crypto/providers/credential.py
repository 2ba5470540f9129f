# SPDX-License-Identifier: Apache-2.0
"""The root key under a systemd credential (systemd.exec(5), LoadCredentialEncrypted=).

Invariant: the secret comes from the service manager at each start; the data directory does not
hold it.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from radkeep.crypto.digest import hkdf
from radkeep.crypto.providers.rootfile import create_root, open_root, read_root, refuse_existing
from radkeep.domain.errors import ConfigError, IntegrityError

NAME: Final = "credential"
CREDENTIAL: Final = "radkeep-root"
VARIABLE: Final = "CREDENTIALS_DIRECTORY"
MIN_SECRET: Final = 32  # bytes, of at least 128 random bits: it is not stretched
MAX_SECRET: Final = 4096
_SALT: Final = 32
_INFO: Final = b"radkeep/1 root credential\0"


class CredentialProvider:
    """A KeyProvider for servers that start by themselves."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        """Keep ``root.json`` in ``directory``; ``environment`` is the process's."""
        self._directory = directory
        self._environment = environment

    def create(self) -> bytes:
        """Return a new root key stored under the credential.

        Raises:
            AlreadyExistsError: the directory has a root key.
            ConfigError: there is no credential, or it is too short or too long.
        """
        refuse_existing(self._directory)
        salt = secrets.token_bytes(_SALT)
        kek = hkdf(self._secret(), salt, _INFO)
        return create_root(self._directory, NAME, kek, {"salt": salt.hex()})

    def unlock(self) -> bytes:
        """Return the root key.

        Raises:
            WrongPassphraseError: the credential is another one.
            ConfigError: there is no credential, or no root key under one.
            IntegrityError: what is stored is damaged.
        """
        stored = read_root(self._directory, NAME)
        try:
            salt = bytes.fromhex(str(stored.parameters["salt"]))
        except (KeyError, ValueError):
            raise IntegrityError("the stored root key is damaged") from None
        return open_root(stored, hkdf(self._secret(), salt, _INFO))

    def _secret(self) -> bytes:
        folder = self._environment.get(VARIABLE)
        if not folder:
            raise ConfigError("no systemd credentials here; the service needs LoadCredential=")
        try:
            with (Path(folder) / CREDENTIAL).open("rb") as file:
                secret = file.read(MAX_SECRET + 1)
        except OSError:
            raise ConfigError(f"no systemd credential '{CREDENTIAL}' can be read") from None
        if not MIN_SECRET <= len(secret) <= MAX_SECRET:
            raise ConfigError(f"systemd credential '{CREDENTIAL}' needs 32 to 4,096 bytes")
        return secret
