# SPDX-License-Identifier: Apache-2.0
"""The stored root key: sealed under the provider's key, in ``root.json`` with public parameters.

Invariant: the file never changes in place, and the root key in it never changes: what protects it
does. Any provider's secret or the recovery key opens the same root.
"""

import base64
import binascii
import os
import secrets
from pathlib import Path
from typing import Final

import msgspec

from radkeep.crypto.digest import equal, hkdf, hmac_sha256
from radkeep.crypto.seal import KEY
from radkeep.crypto.wrap import unwrap, wrap
from radkeep.domain.errors import (
    AlreadyExistsError,
    ConfigError,
    IntegrityError,
    WrongPassphraseError,
)

FILE_NAME: Final = "root.json"
_CHECK: Final = b"radkeep/1 root check\0"
_CONTEXT: Final = b"root"
_RECOVERY_INFO: Final = b"radkeep/1 recovery key\0"
_RECOVERY_BYTES: Final = 20  # 160 random bits: 32 characters in eight groups
_GROUP: Final = 4
MAX_FILE: Final = 16_384  # bytes


class Lock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The root key under one secret."""

    check: str  # hexadecimal; tells a wrong secret from a damaged file
    wrapped: str  # hexadecimal


class RootFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of ``root.json``."""

    version: int = 1
    provider: str
    parameters: dict[str, int | str]
    lock: Lock
    recovery: Lock | None = None


def create_root(
    directory: Path, provider: str, kek: bytes, parameters: dict[str, int | str]
) -> bytes:
    """Return a new root key, stored in ``directory`` under ``kek``.

    Raises:
        AlreadyExistsError: there is one.
    """
    refuse_existing(directory)
    root = secrets.token_bytes(KEY)
    lock = _lock(kek, root)
    _write(directory, RootFile(provider=provider, parameters=parameters, lock=lock))
    return root


def rewrap_root(
    directory: Path, provider: str, root: bytes, kek: bytes, parameters: dict[str, int | str]
) -> None:
    """Put ``root`` under ``kek`` instead of the key before; the recovery key stays.

    After a crash the file is either the old or the new one, whole.

    Raises:
        ConfigError: the directory has no root key, another provider keeps it, or the file cannot
            be written.
        IntegrityError: what is stored is damaged.
    """
    stored = read_root(directory, provider)
    changed = msgspec.structs.replace(stored, parameters=parameters, lock=_lock(kek, root))
    try:
        _write(directory, changed)
    except OSError as error:
        raise ConfigError(f"the root key cannot be stored: {error.strerror}") from error


def refuse_existing(directory: Path) -> None:
    """Stop before a root key is replaced: everything under it would be lost.

    Raises:
        AlreadyExistsError: ``directory`` has a root key.
    """
    if (directory / FILE_NAME).exists():
        raise AlreadyExistsError("this data directory already has a root key")


def read_root(directory: Path, provider: str) -> RootFile:
    """Return what ``directory`` holds of its root key.

    Raises:
        ConfigError: nothing, or it belongs to another provider.
        IntegrityError: it is damaged.
    """
    stored = _read(directory)
    if stored.provider != provider:
        raise ConfigError(f"the root key is kept by key provider '{stored.provider}'")
    return stored


def open_root(stored: RootFile, kek: bytes) -> bytes:
    """Return the root key in ``stored``.

    Raises:
        WrongPassphraseError: ``kek`` is not the key it is under.
        IntegrityError: it is damaged.
    """
    return _unlock(stored.lock, kek)


def add_recovery_key(directory: Path, root: bytes) -> str:
    """Return a new recovery key for ``root``, to be printed and kept apart. An old one ends.

    Raises:
        ConfigError: the directory has no root key.
        IntegrityError: what is stored is damaged.
    """
    entropy = secrets.token_bytes(_RECOVERY_BYTES)
    stored = _read(directory)
    _write(directory, msgspec.structs.replace(stored, recovery=_lock(_recovery(entropy), root)))
    text = base64.b32encode(entropy).decode()
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def recover(directory: Path, recovery_key: str) -> bytes:
    """Return the root key by means of the recovery key; case, spaces and dashes do not matter.

    Raises:
        WrongPassphraseError: it is not the recovery key, or none was made.
        ConfigError: the directory has no root key.
        IntegrityError: what is stored is damaged.
    """
    stored = _read(directory)
    compact = "".join(recovery_key.upper().replace("-", "").split())
    try:
        entropy = base64.b32decode(compact)
    except binascii.Error:
        raise WrongPassphraseError("this is not a recovery key") from None
    if stored.recovery is None or len(entropy) != _RECOVERY_BYTES:
        raise WrongPassphraseError("this is not the recovery key of this data directory")
    return _unlock(stored.recovery, _recovery(entropy))


def write_private(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path``, readable by the owner alone; durable and whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _recovery(entropy: bytes) -> bytes:
    return hkdf(entropy, b"", _RECOVERY_INFO)


def _lock(kek: bytes, root: bytes) -> Lock:
    return Lock(check=hmac_sha256(kek, _CHECK).hex(), wrapped=wrap(kek, root, _CONTEXT).hex())


def _unlock(lock: Lock, kek: bytes) -> bytes:
    try:
        check, wrapped = bytes.fromhex(lock.check), bytes.fromhex(lock.wrapped)
    except ValueError:
        raise IntegrityError("the stored root key is damaged") from None
    if not equal(hmac_sha256(kek, _CHECK), check):
        raise WrongPassphraseError("the passphrase or root secret is wrong")
    return unwrap(kek, wrapped, _CONTEXT)


def _read(directory: Path) -> RootFile:
    try:
        with (directory / FILE_NAME).open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise ConfigError("this data directory has no root key; run: radkeep init") from None
    try:
        stored = msgspec.json.decode(raw, type=RootFile)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise IntegrityError("the stored root key is damaged") from None
    if stored.version != 1:
        raise ConfigError("the root key was stored by a newer version")
    return stored


def _write(directory: Path, stored: RootFile) -> None:
    write_private(directory / FILE_NAME, msgspec.json.format(msgspec.json.encode(stored)) + b"\n")
