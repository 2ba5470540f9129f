# SPDX-License-Identifier: Apache-2.0
"""Where the root key comes from."""

from typing import Protocol


class KeyProvider(Protocol):
    """Makes the root key of a new data directory and opens that of an old one."""

    def create(self) -> bytes:
        """Return a new 32-byte root key, after what ``unlock`` needs is durable.

        Raises:
            AlreadyExistsError: the directory has a root key; it is left alone.
            ConfigError: the secret that is to protect the root key is missing or unfit.
        """
        ...

    def unlock(self) -> bytes:
        """Return the root key.

        Raises:
            WrongPassphraseError: the secret does not open it.
            ConfigError: the directory has no root key of this provider, or the secret is missing.
            IntegrityError: what is stored of the root key is damaged.
        """
        ...
