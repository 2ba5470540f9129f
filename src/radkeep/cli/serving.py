# SPDX-License-Identifier: Apache-2.0
"""``radkeep init``, ``serve`` and ``demo``.

Invariant: what a flag says holds for this run; only ``init`` writes ``radkeep.toml``.
"""

from typing import Any

import click
import msgspec

from radkeep.app.demo.run import run_demo
from radkeep.app.founding import found
from radkeep.app.layout import Layout
from radkeep.app.prompt import ask
from radkeep.app.sandboxes import sandboxing
from radkeep.app.serving import ready_line, serve, unlocking
from radkeep.app.supervisor import Supervisor
from radkeep.app.unlocked import provider
from radkeep.cli.options import Context, ask_new, common
from radkeep.config import Config, KeysConfig, load


@click.command(short_help="Make a new data directory: keys, CA, first account.")
@click.option("--organization", default="My clinic", show_default=True, help="Its name.")
@click.option("--admin", metavar="EMAIL", default="", help="The first administrator.")
@click.option(
    "--hostname",
    default="localhost",
    show_default=True,
    help="Name under which browsers reach the server; it cannot change later.",
)
@click.option(
    "--key-provider",
    type=click.Choice(["passphrase", "credential"]),
    default="passphrase",
    show_default=True,
    help="Where the root key comes from at each start.",
)
@common
def init(
    context: Context, *, organization: str, admin: str, hostname: str, key_provider: str
) -> None:
    """Make a new data directory: keys, private CA, registry, one-time enrolment link."""
    keys = msgspec.convert({"provider": key_provider}, KeysConfig)
    config = Config(keys=keys).with_server(hostname=hostname)
    origin = provider(context.layout, keys, ask_new, passphrase_file=context.passphrase_file)
    founded = found(context.layout, config, origin, organization=organization, administrator=admin)
    if context.as_json:
        context.show(founded)
        return
    print(f"data directory   {founded.data}")
    print(f"CA certificate   {founded.ca['path']}")
    print(f"  SHA-256        {founded.ca['sha256']}")
    print(f"recovery key     {founded.recovery_key}")
    print("  Keep it away from this machine: it opens the keys when the passphrase is lost.")
    if founded.enrolment:
        print(f"enrol within 1 h {founded.enrolment['url']}")
        print("next             radkeep serve, then open that link in a browser")
    else:
        print("next             radkeep user invite EMAIL --role administrator")


@click.command("serve", short_help="Run the server.")
@click.option("--host", help="Address of the web and DIMSE doors [default: 127.0.0.1].")
@click.option("--web-port", type=int, help="HTTPS [default: 8443].")
@click.option("--dimse-tls-port", type=int, help="DICOM over TLS [default: 2762].")
@click.option("--dimse-port", type=int, help="Plaintext DICOM, for zones that allow it.")
@click.option("--admin-port", type=int, help="Metrics: not yet served.")
@common
def serve_(context: Context, **flags: str | int | None) -> None:
    """Run the server; prints READY and a JSON object when all doors answer."""
    config = _with_flags(load(context.layout.data), flags)
    passphrase_file = context.passphrase_file
    with (
        sandboxing() as sandboxes,  # before there is any key
        unlocking(context.layout, config, ask, passphrase_file=passphrase_file) as unlocked,
    ):
        serve(unlocked, sandboxes, _announce)


@click.command(short_help="Run a demo with samples, on this machine only.")
@click.option("--data", metavar="DIR", default="radkeep-demo", show_default=True)
@click.option(
    "--samples",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="Load the DICOM files of this folder as well.",
)
@click.option("--fresh", is_flag=True, help="Delete the demo in DIR and begin a new one.")
@click.option("--no-browser", is_flag=True, help="Do not open the sign-in link in a browser.")
@click.option("--web-port", type=int, help="HTTPS [default: 8443].")
@click.option("--dimse-port", type=int, default=11112, show_default=True, help="DICOM, loopback.")
@click.option("--dimse-tls-port", type=int, default=0, help="DICOM over TLS [default: a free one].")
def demo(
    *,
    data: str,
    samples: str | None,
    fresh: bool,
    no_browser: bool,
    web_port: int | None,
    dimse_port: int,
    dimse_tls_port: int,
) -> None:
    """Start a demo with sample studies and demo people, on this machine only."""
    flags = {
        "web_port": web_port,
        "dimse_port": dimse_port,
        "dimse_tls_port": dimse_tls_port,
    }
    run_demo(
        Layout.at(data),
        flags={name: port for name, port in flags.items() if port is not None},
        folder=samples,
        fresh=fresh,
        browser=not no_browser,
    )


def _announce(_supervisor: Supervisor, told: dict[str, Any]) -> None:
    print(ready_line(told), flush=True)


def _with_flags(config: Config, flags: dict[str, str | int | None]) -> Config:
    """Return ``config`` with what the command line says.

    Raises:
        ConfigError: a flag's value is out of range.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    return config.with_server(**given)


COMMANDS = (init, serve_, demo)
