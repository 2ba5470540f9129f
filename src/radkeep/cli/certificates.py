# SPDX-License-Identifier: Apache-2.0
"""``radkeep certificate``, and how ``radkeep device certificate`` makes and keeps files.

Invariant: a device's private key is made here, is written for its owner alone, and goes nowhere;
only its public key travels.
"""

import os
from pathlib import Path
from typing import Any, Final

import click

from radkeep.cli.client import Api, quote
from radkeep.cli.options import Context, common
from radkeep.crypto.certificate_facts import MAX_PEM
from radkeep.crypto.certificates import new_key
from radkeep.domain.errors import InvalidRequestError

COLUMNS: Final = ("fingerprint", "expires", "revoked", "imported", "issuer")
_SHOWN: Final = ("for", "names", "expires", "issuer", "own", "fingerprint")
_TOLD: Final = ("ae_title", "fingerprint", "serial", "expires")


def issue(api: Api, ae_title: str, folder: Path) -> dict[str, Any]:
    """Make a key, have it certified, and write both to ``folder``; return what was made.

    Raises:
        InvalidRequestError: the folder cannot be written.
        ProblemError: the server refuses.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private, public = new_key()
        made = api.call("POST", _path(ae_title), {"public_key": public.decode()})
        _write(folder / "key.pem", private, 0o600)
        _write(folder / "cert.pem", made["certificate"].encode(), 0o644)
        _write(folder / "ca.pem", made["ca"].encode(), 0o644)
    except OSError as error:
        raise InvalidRequestError(f"the folder cannot be written: {error.strerror}") from error
    return {**{name: made[name] for name in _TOLD}, "out": str(folder)}


def import_(api: Api, ae_title: str, file: Path) -> dict[str, Any]:
    """Have a certificate trusted; return what it says.

    Raises:
        InvalidRequestError: the file cannot be read.
        ProblemError: the server refuses.
    """
    made = api.call("POST", _path(ae_title), {"certificate": _read(file)})
    return {name: made[name] for name in _TOLD}


def revoke_(api: Api, ae_title: str, fingerprint: str) -> list[dict[str, Any]]:
    """Revoke all certificates of a device, or one; return which.

    Raises:
        ProblemError: the server refuses.
    """
    query = f"?fingerprint={quote(fingerprint)}" if fingerprint else ""
    revoked: list[dict[str, Any]] = api.call("DELETE", _path(ae_title) + query)
    return revoked


def list_(api: Api, ae_title: str) -> list[dict[str, Any]]:
    """Return the certificates of a device.

    Raises:
        ProblemError: the server refuses.
    """
    found: list[dict[str, Any]] = api.call("GET", _path(ae_title))
    return found


@click.group()
def certificate() -> None:
    """Certificates of this server."""


@certificate.command("status")
@common
def status(context: Context) -> None:
    """Show what each door shows its peers, and until when."""
    with context.api() as api:
        context.show(api.call("GET", "/certificates"), columns=_SHOWN)


_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@certificate.command("import")
@click.option("--cert", metavar="FILE", type=_FILE, help="PEM: the server's, then its issuers'.")
@click.option("--key", metavar="FILE", type=_FILE, help="Its private key, PEM, unencrypted.")
@click.option("--own", is_flag=True, help="Go back to a certificate of Radkeep's own authority.")
@common
def import_web(context: Context, *, cert: Path | None, key: Path | None, own: bool) -> None:
    """Have the web door show a certificate of another authority; it is in use at once."""
    if own == (cert is not None and key is not None):
        raise click.UsageError("give --cert and --key, or --own")
    with context.api() as api:
        if cert is not None and key is not None:
            body = {"certificate": _read(cert), "key": _read(key)}
            shown = api.call("PUT", "/certificates/web", body)
        else:
            shown = api.call("DELETE", "/certificates/web")
    context.show(shown, columns=_SHOWN)


def _path(ae_title: str) -> str:
    return f"/devices/{quote(ae_title)}/certificates"


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_PEM + 1).decode("ascii")
    except OSError as error:
        raise InvalidRequestError(f"a file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InvalidRequestError("this file is not PEM text") from None


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put ``content`` at ``path`` whole, with ``mode`` from its first byte on."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)


COMMANDS = (certificate,)
