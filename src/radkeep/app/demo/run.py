# SPDX-License-Identifier: Apache-2.0
"""``radkeep demo``: found once, load samples once, serve, print a sign-in link.

Invariant: only a directory that was founded as a demo is ever used or deleted, and it never
listens beyond loopback.
"""

import os
import sys
import webbrowser
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx2

from radkeep.app.audit_client import DirectLog
from radkeep.app.demo import phantom, samples
from radkeep.app.founding import found
from radkeep.app.house import House
from radkeep.app.layout import Layout, locked
from radkeep.app.sandboxes import sandboxing
from radkeep.app.serving import ready_line, serve, unlocking
from radkeep.app.supervisor import Supervisor
from radkeep.app.unlocked import Unlocked
from radkeep.config import FILE_NAME, Config, KeysConfig, load
from radkeep.crypto.providers.file import KEY_FILE, FileProvider
from radkeep.domain.actor import Actor
from radkeep.domain.errors import ConfigError, RadkeepError
from radkeep.identity.actors import local, system
from radkeep.identity.permissions import Permission
from radkeep.ingest.store import Receipt

DEVICE: Final = "STORESCU"  # what DCMTK's storescu calls itself unless told otherwise
File = tuple[str, bytes]  # name and content


def run_demo(
    layout: Layout,
    *,
    flags: Mapping[str, int],
    folder: str | None,
    fresh: bool,
    browser: bool,
) -> None:
    """Run a demo in ``layout`` until it is stopped.

    Args:
        layout: the data directory; made when it is not there.
        flags: ports of this run.
        folder: further DICOM files to load.
        fresh: delete the demo that is there and begin anew.
        browser: open the link in a browser.

    Raises:
        ConfigError: the directory is not a demo, or another process uses it.
    """
    if fresh:
        _delete(layout)
    if not (layout.data / FILE_NAME).exists():
        _say("making keys, databases and demo people")
        config = Config(profile="demo", keys=KeysConfig(provider="file"))
        found(layout, config, FileProvider(layout.keyring), organization="Demo clinic")
    config = _demo_config(layout).with_server(**flags)
    with (
        sandboxing() as sandboxes,  # before there is any key
        unlocking(layout, config, _nobody, passphrase_file=None) as unlocked,
    ):
        _load(unlocked, folder)
        serve(
            unlocked,
            sandboxes,
            lambda server, told: _announce(layout, server, told, browser=browser),
        )


def _delete(layout: Layout) -> None:
    if (layout.data / FILE_NAME).exists():
        _demo_config(layout)
        with locked(layout):  # a running demo stays
            layout.clear()


def _demo_config(layout: Layout) -> Config:
    config = load(layout.data)
    founded = config.keys.provider == "file" and (layout.keyring / KEY_FILE).exists()
    if config.profile != "demo" or not founded:  # whatever somebody wrote into radkeep.toml
        raise ConfigError("this data directory is not a demo; it stays as it is")
    return config


def _load(unlocked: Unlocked, folder: str | None) -> None:
    """Store the samples the first time, and what ``folder`` holds every time."""
    with (
        closing(unlocked.open_audit_log()) as log,
        closing(House(unlocked.foundation(DirectLog(log, "demo"), "demo"))) as house,
    ):
        organization = house.people.organizations.find().id
        actor = system("demo", Permission.INSTANCE_STORE, organization=organization)
        if not house.catalog.statistics(organization).instances:
            operator = local(os.getuid(), organization=organization)
            house.people.devices.add(operator, DEVICE, addresses=["127.0.0.0/8"])
            _say("loading sample studies")
            _store(house, actor, samples.packaged())
            _say("loading a phantom of 64 slices")
            _store(house, actor, phantom.slices())
        if folder is not None:
            _say("loading the given files")
            _store(house, actor, samples.given(Path(folder)))


def _store(house: House, actor: Actor, files: Iterable[File]) -> None:
    transfer = house.store.transfer(actor, session="demo", protocol="demo")
    waiting: list[tuple[str, Future[Receipt]]] = []
    for name, content in files:
        reception = house.store.receive(transfer, transfer_syntax=None)
        try:
            reception.feed(memoryview(content))
            waiting.append((name, reception.finish()))
        except RadkeepError as error:
            _say(f"  {name}: {error}")
    for name, receipt in waiting:
        try:
            receipt.result()
        except RadkeepError as error:
            _say(f"  {name}: {error}")
    transfer.close()


def _announce(layout: Layout, server: Supervisor, told: dict[str, Any], *, browser: bool) -> None:
    link = _new_link(layout, told["web"])
    print(ready_line({**told, "link": link}), flush=True)
    interactive = sys.stdin is not None and sys.stdin.isatty()
    _show(link, interactive=interactive)
    if browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(link)

    def again() -> None:
        if os.read(sys.stdin.fileno(), 4096):
            _show(_new_link(layout, told["web"]), interactive=True)
        else:
            server.unwatch(sys.stdin.fileno())

    if interactive:
        server.watch(sys.stdin.fileno(), again)


def _new_link(layout: Layout, origin: str) -> str:
    """Ask the running server for a one-time link, as the operator at its control socket."""
    transport = httpx2.HTTPTransport(uds=str(layout.control_socket))
    with httpx2.Client(transport=transport, base_url="http://radkeep") as client:
        answer = client.post("/api/v1/demo/link")
        answer.raise_for_status()
        return f"{origin}/demo?token={answer.json()['token']}"


def _show(link: str, *, interactive: bool) -> None:
    print(f"\nSign in within 10 minutes, once:\n\n    {link}\n", flush=True)
    how = "Enter prints another link, Ctrl-C stops the demo."
    print(how if interactive else "For another link, start the demo again.", flush=True)


def _nobody() -> str:
    raise ConfigError("a demo has no passphrase")


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
