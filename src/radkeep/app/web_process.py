# SPDX-License-Identifier: Apache-2.0
"""The web process: HTTPS for people and programs, and the control socket, over one house."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from radkeep.app.authority import TlsPair
from radkeep.app.boot import DoorBoot, Ready
from radkeep.app.door import Door, taking
from radkeep.app.renewal import LOOK_SECONDS, Renewal, repeat
from radkeep.app.trail import ask_keeper
from radkeep.app.webhouse import web_application
from radkeep.domain.errors import ConfigError
from radkeep.web.kit.threads import Threads
from radkeep.web.kit.tls import renew, server_context
from radkeep.web.server import Listener, bind_tcp, bind_unix
from radkeep.web.server import serve as serve_http
from radkeep.web.viewer.routes import open_viewer


def serve(
    boot: DoorBoot, control: socket.socket, audit: socket.socket, decoding: socket.socket
) -> None:
    """Serve HTTP until asked to stop."""
    door = Door("web", boot, control, audit, decoding)
    door.house.people.demo.restart()
    door.serve(_listening(door))


@asynccontextmanager
async def _listening(door: Door) -> AsyncIterator[Ready]:
    boot, server = door.boot, door.boot.config.server
    with taking(server.host, server.web_port):
        sock = bind_tcp(server.host, server.web_port)
    control = _bind_control(door.layout.control_socket)
    port: int = sock.getsockname()[1]
    threads = Threads()
    tls = server_context(boot.tls_certificate, boot.tls_key)

    def show(pair: TlsPair) -> None:
        renew(tls, pair.certificate, pair.key)

    application = web_application(
        door.house,
        ask_keeper(door.keeper),
        threads=threads,
        origin=f"https://{server.hostname}:{port}",
        ready=door.keeper.is_alive,
        viewer=open_viewer(boot.config.viewer.directory),
        office=door.office,
        show=show,
    )
    listeners = [
        Listener(sock=sock, application=application, tls=tls),
        Listener(sock=control, application=application),
    ]
    stop, ready = asyncio.Event(), asyncio.Event()
    renewal = Renewal(door.office, "web", boot.tls_certificate, show, door.house.clock)
    renewing = asyncio.create_task(repeat(LOOK_SECONDS, renewal.look))
    serving = asyncio.create_task(serve_http(listeners, stop=stop, ready=ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    try:
        if serving.done():
            serving.result()
        yield Ready(ports={"web": port})
    finally:
        stop.set()
        waiting.cancel()
        renewing.cancel()
        await serving
        threads.close()
        door.layout.control_socket.unlink(missing_ok=True)


def _bind_control(path: Path) -> socket.socket:
    try:
        return bind_unix(path)
    except OSError as error:  # something else lies there, or the path is too long for a socket
        reason = error.strerror or str(error)
        raise ConfigError(f"cannot listen at run/control.sock: {reason}") from error
