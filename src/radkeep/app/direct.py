# SPDX-License-Identifier: Apache-2.0
"""A lone command's own server: the same application, in this process, without a socket.

Invariant: it holds the data directory's lock, is keeper and writer itself, and acts as the
operating-system user who runs it.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from radkeep.app.audit_client import DirectLog
from radkeep.app.authority import Office
from radkeep.app.house import House
from radkeep.app.layout import Layout
from radkeep.app.prompt import ask
from radkeep.app.serving import unlocking
from radkeep.app.trail import Asked, Told, read_page
from radkeep.app.unlocked import audit_reader
from radkeep.app.webhouse import web_application
from radkeep.config import load
from radkeep.web.kit.authentication import PEER
from radkeep.web.kit.threads import Threads
from radkeep.web.viewer.serving import Viewer


@contextmanager
def direct_application(layout: Layout, passphrase_file: str | None) -> Iterator[ASGIApp]:
    """Give the application of ``layout`` while no server runs.

    Raises:
        ConfigError: no data directory, or a server or another command uses it.
        WrongPassphraseError: the passphrase does not open it.
    """
    config = load(layout.data)
    with (
        unlocking(layout, config, ask, passphrase_file=passphrase_file) as unlocked,
        closing(unlocked.open_audit_log()) as log,
        closing(
            House(unlocked.foundation(DirectLog(log, "command"), "command", Office(unlocked)))
        ) as house,
        closing(Threads()) as threads,
    ):
        server = config.server
        origin = f"https://{server.hostname}:{server.web_port}"
        reader = audit_reader(layout, unlocked.keyring)

        def read(asked: Asked) -> list[Told]:
            return read_page(reader, asked)

        application = web_application(
            house,
            read,
            threads=threads,
            origin=origin,
            ready=lambda: True,
            viewer=Viewer(tree=None),
            office=Office(unlocked),
        )
        yield _as_this_user(application)


def _as_this_user(application: ASGIApp) -> ASGIApp:
    async def marked(scope: Scope, receive: Receive, send: Send) -> None:
        extensions = {**scope.get("extensions", {}), PEER: {"uid": os.getuid()}}
        await application({**scope, "extensions": extensions}, receive, send)

    return marked
