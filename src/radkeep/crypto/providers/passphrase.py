# SPDX-License-Identifier: Apache-2.0
"""The root key under a passphrase: argon2id, made as costly as this machine bears in a second.

Invariant: the passphrase is never stored, nor anything that is cheaper to test a guess against
than one argon2id of the stored cost.
"""

import os
import secrets
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw

from radkeep.crypto.providers.rootfile import (
    create_root,
    open_root,
    read_root,
    refuse_existing,
    rewrap_root,
)
from radkeep.crypto.seal import KEY
from radkeep.domain.errors import ConfigError, IntegrityError

NAME: Final = "passphrase"
MAX_MEMORY: Final = 524_288  # KiB; RFC 9106's first choice of 2 GiB does not fit small servers
MIN_MEMORY: Final = 65_536  # KiB, RFC 9106 Section 4, second choice
MAX_TIME: Final = 64  # passes
LANES: Final = 4
TARGET: Final = 1.0  # seconds
_SALT: Final = 16
_MAX_PASSPHRASE: Final = 4096  # characters


class Cost(NamedTuple):
    """Parameters of argon2id."""

    time: int  # passes
    memory: int  # KiB
    lanes: int = LANES


class PassphraseProvider:
    """A KeyProvider for a passphrase that a person types or a file holds."""

    def __init__(
        self,
        directory: Path,
        passphrase: str,
        *,
        cost: Cost | None = None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Keep ``root.json`` in ``directory``; ``cost`` is measured at create unless given."""
        self._directory = directory
        self._passphrase = passphrase
        self._cost = cost
        self._timer = timer

    def create(self) -> bytes:
        """Return a new root key stored under the passphrase.

        Raises:
            AlreadyExistsError: the directory has a root key.
            ConfigError: the passphrase is empty or over 4,096 characters.
        """
        refuse_existing(self._directory)
        return create_root(self._directory, NAME, *self._new_key())

    def rewrap(self, root: bytes) -> None:
        """Store ``root``, which the directory has, under this passphrase instead of the old one.

        Raises:
            ConfigError: the passphrase is empty or over 4,096 characters, the directory has no root
                key under a passphrase, or the file cannot be written.
            IntegrityError: what is stored is damaged.
        """
        rewrap_root(self._directory, NAME, root, *self._new_key())

    def unlock(self) -> bytes:
        """Return the root key.

        Raises:
            WrongPassphraseError: the passphrase is another one.
            ConfigError: the directory has no root key under a passphrase.
            IntegrityError: what is stored is damaged.
        """
        stored = read_root(self._directory, NAME)
        salt, cost = _parameters(stored.parameters)
        return open_root(stored, _stretch(self._secret(), salt, cost))

    def _new_key(self) -> tuple[bytes, dict[str, int | str]]:
        """Return a key of this passphrase under a new salt, and the parameters that give it."""
        secret = self._secret()
        cost = self._cost or calibrate(self._timer)
        salt = secrets.token_bytes(_SALT)
        return _stretch(secret, salt, cost), {**cost._asdict(), "salt": salt.hex()}

    def _secret(self) -> bytes:
        if not 0 < len(self._passphrase) <= _MAX_PASSPHRASE:
            raise ConfigError("a passphrase has 1 to 4,096 characters")
        return unicodedata.normalize("NFKC", self._passphrase).encode()


def calibrate(timer: Callable[[], float]) -> Cost:
    """Return the cost of about TARGET seconds here: first memory, then passes."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    memory = MAX_MEMORY
    while memory > MIN_MEMORY and memory * 1024 > pages * size // 4:
        memory //= 2
    while True:
        start = timer()
        try:
            _stretch(b"calibration", bytes(_SALT), Cost(1, memory))
        except ConfigError:  # no room for so much now
            elapsed = 2 * TARGET
            if memory <= MIN_MEMORY:
                raise
        else:
            elapsed = timer() - start
        if elapsed <= TARGET or memory <= MIN_MEMORY:
            break
        memory //= 2
    passes = int(TARGET / max(elapsed, TARGET / MAX_TIME))
    floor = 1 if memory > MIN_MEMORY else 3  # RFC 9106 Section 4: at 64 MiB three passes
    return Cost(max(passes, floor), memory)


def _stretch(secret: bytes, salt: bytes, cost: Cost) -> bytes:
    try:
        return hash_secret_raw(secret, salt, cost.time, cost.memory, cost.lanes, KEY, Type.ID)
    except HashingError:
        raise ConfigError("not enough memory to open the root key") from None


def _parameters(stored: dict[str, int | str]) -> tuple[bytes, Cost]:
    """Return salt and cost, within bounds: a forged file must not exhaust the machine."""
    match stored:
        case {"time": int(passes), "memory": int(memory), "lanes": int(lanes), "salt": str(salt)}:
            within = 0 < passes <= MAX_TIME and 0 < lanes <= 16  # noqa: PLR2004 - lanes, as above
            if within and 8 * lanes <= memory <= MAX_MEMORY and len(salt) == 2 * _SALT:
                try:
                    return bytes.fromhex(salt), Cost(passes, memory, lanes)
                except ValueError:
                    raise IntegrityError("the stored root key is damaged") from None
        case _:
            pass
    raise IntegrityError("the stored root key is damaged")
