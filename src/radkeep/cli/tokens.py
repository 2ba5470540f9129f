# SPDX-License-Identifier: Apache-2.0
"""``radkeep token``: how programs get in."""

import re
from datetime import timedelta
from typing import Final

import click

from radkeep.cli.client import quote
from radkeep.cli.options import Context, common
from radkeep.domain.clock import SystemClock
from radkeep.domain.errors import InvalidRequestError

_LIFE: Final = re.compile(r"(\d{1,4})([hdw])")
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@click.group()
def token() -> None:
    """API tokens."""


@token.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="Repeat for several.")
@click.option("--expires", metavar="TIME", help="12h, 30d or 4w from now.")
@common
def create(context: Context, *, name: str, scopes: tuple[str, ...], expires: str | None) -> None:
    """Make a token for service NAME and print it; it is shown once."""
    body = {"name": name, "scopes": list(scopes)}
    if expires:
        body["expires"] = (SystemClock().now() + _life(expires)).isoformat()
    with context.api() as api:
        told = api.call("POST", "/tokens", body)
    context.show(told if context.as_json else told["token"])


@token.command("list")
@common
def list_tokens(context: Context) -> None:
    """List tokens, without their secrets."""
    with context.api() as api:
        found = api.call("GET", "/tokens")
    context.show(found, columns=("name", "scopes", "expires", "used", "revoked"))


@token.command()
@click.argument("name")
@common
def revoke(context: Context, *, name: str) -> None:
    """End a token at once."""
    with context.api() as api:
        api.call("DELETE", f"/tokens/{quote(name)}")
    context.show({"name": name, "revoked": True})


def _life(text: str) -> timedelta:
    match = _LIFE.fullmatch(text)
    if not match:
        raise InvalidRequestError("a time is a number and h, d or w: 30d")
    return int(match[1]) * _UNITS[match[2]]


COMMANDS = (token,)
