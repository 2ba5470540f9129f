# SPDX-License-Identifier: Apache-2.0
"""The web's imported certificate in the data directory.

Invariant: its private key lies there sealed, under a key that only the supervisor has; certificate
and key are replaced together, as one file.
"""

from pathlib import Path
from typing import Final

import msgspec

from radkeep.app.layout import Layout
from radkeep.crypto.digest import hkdf
from radkeep.crypto.providers.rootfile import write_private
from radkeep.crypto.seal import KEY, context, seal, unseal
from radkeep.domain.errors import IntegrityError

FILE: Final = "web.sealed"
_INFO: Final = b"radkeep/1 imported web key"
_CONTEXT: Final = context("", b"web", "imported-certificate", 1)


class _Pair(msgspec.Struct, frozen=True, array_like=True):
    certificate: bytes
    key: bytes


def keep(layout: Layout, secret: bytes, certificate: bytes, key: bytes) -> None:
    """Keep a certificate chain and its key, both PEM, in place of any other."""
    sealed = seal(_key(secret), _CONTEXT, msgspec.msgpack.encode(_Pair(certificate, key)))
    write_private(_path(layout), sealed)


def kept(layout: Layout, secret: bytes) -> tuple[bytes, bytes] | None:
    """Return what is kept, or None.

    Raises:
        IntegrityError: it was changed.
    """
    try:
        sealed = _path(layout).read_bytes()
    except FileNotFoundError:
        return None
    try:
        pair = msgspec.msgpack.decode(unseal(_key(secret), _CONTEXT, sealed), type=_Pair)
    except msgspec.DecodeError as error:
        raise IntegrityError("the imported web certificate is damaged") from error
    return pair.certificate, pair.key


def forget(layout: Layout) -> None:
    """Keep none."""
    _path(layout).unlink(missing_ok=True)


def _path(layout: Layout) -> Path:
    return layout.tls / FILE


def _key(secret: bytes) -> bytes:
    return hkdf(secret, b"", _INFO, KEY)
