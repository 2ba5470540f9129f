# SPDX-License-Identifier: Apache-2.0
"""``radkeep device`` and ``zone``: machines and networks.

Invariant: a command says what the API says; it knows no rule of its own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from radkeep.cli.certificates import COLUMNS, import_, issue, list_, revoke_
from radkeep.cli.client import quote
from radkeep.cli.options import Context, common, progress
from radkeep.domain.errors import UnavailableError


@click.group()
def device() -> None:
    """DICOM devices."""


@device.command("add")
@click.argument("ae_title", metavar="AE")
@click.option("--host", default="", help="Where it listens; it may call from there unless --from.")
@click.option("--port", default=0, help="Where it listens: the destination of C-MOVE.")
@click.option("--tls", is_flag=True, help="It listens with TLS: nothing is sent to it without.")
@click.option("--from", "addresses", multiple=True, metavar="CIDR", help="It may call from here.")
@click.option("--allow", default="store", show_default=True, help="store,find,move,get")
@common
def add_device(
    context: Context,
    *,
    ae_title: str,
    host: str,
    port: int,
    tls: bool,
    addresses: tuple[str, ...],
    allow: str,
) -> None:
    """Register a device by its AE title."""
    body = {
        "ae_title": ae_title,
        "host": host,
        "port": port,
        "tls": tls,
        "from": list(addresses),
        "allow": [word.strip() for word in allow.split(",") if word.strip()],
    }
    with context.api() as api:
        made = api.call("POST", "/devices", body)
        heard = api.call("POST", f"/devices/{quote(made['ae_title'])}/echo") if port else None
    context.show({**made, "echo": _heard(heard)} if heard else made)
    if heard and not heard["answered"]:
        progress(f"It is registered, but does not answer: {heard['reason']}.")
    if not made["from"]:
        progress(
            "It may call with a certificate only: radkeep device certificate"
            f" {made['ae_title']} --out DIR. (For plaintext, add it with --host or --from.)"
        )


@device.command("echo")
@click.argument("ae_title", metavar="AE")
@common
def echo_device(context: Context, *, ae_title: str) -> None:
    """Ask a device whether it hears us (C-ECHO)."""
    with context.api() as api:
        heard = api.call("POST", f"/devices/{quote(ae_title)}/echo")
    if not heard["answered"]:
        raise UnavailableError(f"{heard['ae_title']} does not answer: {heard['reason']}")
    context.show(heard)


@device.command("list")
@click.option("--pending", is_flag=True, help="Those that knocked and were refused, and why.")
@common
def list_devices(context: Context, *, pending: bool) -> None:
    """List devices."""
    with context.api() as api:
        found = api.call("GET", "/devices/pending" if pending else "/devices")
    if pending:
        context.show(found, columns=("ae_title", "called", "address", "reason", "last", "count"))
    else:
        context.show(found, columns=("ae_title", "from", "allow", "host", "port", "tls"))


@device.command("remove")
@click.argument("ae_title", metavar="AE")
@common
def remove_device(context: Context, *, ae_title: str) -> None:
    """Forget a device."""
    with context.api() as api:
        api.call("DELETE", f"/devices/{quote(ae_title)}")
    context.show({"ae_title": ae_title, "removed": True})


@device.command("certificate")
@click.argument("ae_title", metavar="AE")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Issue one: write cert.pem, key.pem and ca.pem there.",
)
@click.option(
    "--import",
    "imported",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trust this certificate (PEM), which the device has already.",
)
@click.option("--revoke", is_flag=True, help="Revoke all of its certificates.")
@click.option("--fingerprint", default="", help="With --revoke: this one only (SHA-256).")
@common
def certificate(
    context: Context,
    *,
    ae_title: str,
    out: Path | None,
    imported: Path | None,
    revoke: bool,
    fingerprint: str,
) -> None:
    """Issue, import, revoke or list certificates of a device; without an option, list them."""
    if (out is not None) + (imported is not None) + revoke > 1:
        raise click.UsageError("one of --out, --import and --revoke at a time")
    if fingerprint and not revoke:
        raise click.UsageError("--fingerprint goes with --revoke")
    with context.api() as api:
        if out is not None:
            context.show(issue(api, ae_title, out))
        elif imported is not None:
            context.show(import_(api, ae_title, imported))
        elif revoke:
            context.show(revoke_(api, ae_title, fingerprint), columns=COLUMNS)
        else:
            context.show(list_(api, ae_title), columns=COLUMNS)


def _heard(echo: Mapping[str, Any]) -> str:
    return "answered" if echo["answered"] else str(echo["reason"])


@click.group()
def zone() -> None:
    """Parts of the network."""


@zone.command("add")
@click.argument("name")
@click.argument("networks", nargs=-1, required=True, metavar="CIDR...")
@click.option("--plaintext", is_flag=True, help="Accept DIMSE without TLS from here.")
@click.option("--reason", default="", help="Why; needed with --plaintext.")
@click.option("--review", metavar="DATE", help="When to look again; needed with it.")
@common
def add_zone(
    context: Context,
    *,
    name: str,
    networks: tuple[str, ...],
    plaintext: bool,
    reason: str,
    review: str | None,
) -> None:
    """Name a part of the network."""
    body = {
        "name": name,
        "networks": list(networks),
        "plaintext": plaintext,
        "reason": reason,
        "review": review,
    }
    with context.api() as api:
        made = api.call("POST", "/zones", body)
    context.show(made)


@zone.command("list")
@common
def list_zones(context: Context) -> None:
    """List zones."""
    with context.api() as api:
        found = api.call("GET", "/zones")
    context.show(found, columns=("name", "networks", "plaintext", "reason", "review"))


@zone.command("remove")
@click.argument("name")
@common
def remove_zone(context: Context, *, name: str) -> None:
    """Forget a zone."""
    with context.api() as api:
        api.call("DELETE", f"/zones/{quote(name)}")
    context.show({"name": name, "removed": True})


COMMANDS = (device, zone)
