# SPDX-License-Identifier: Apache-2.0
"""How a command reaches the server: its control socket, or, when none runs, its own house.

Invariant: a command calls the same JSON API in both cases, as the operating-system user who runs
it; without a server it holds the data directory's lock while it works.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote as percent_encoded

import httpx2
import msgspec

from radkeep.app.direct import direct_application
from radkeep.app.layout import Layout
from radkeep.cli.failures import ProblemError
from radkeep.cli.transport import LocalTransport
from radkeep.domain.errors import UnavailableError

BASE: Final = "http://radkeep"  # a name for the Host header; no network is involved
_DEADLINE: Final = httpx2.Timeout(60.0, connect=5.0)


def quote(name: str) -> str:
    """Return ``name`` as one segment of a path, whatever a person typed."""
    return percent_encoded(name, safe="")


class Api:
    """The JSON API of one data directory."""

    def __init__(self, runner: asyncio.Runner, client: httpx2.AsyncClient) -> None:
        self._runner = runner
        self._client = client

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Return the decoded answer of ``/api/v1`` + ``path``.

        Raises:
            ProblemError: the server refuses; holds its problem document.
        """
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"} if content is not None else {}
        return self.send(method, f"/api/v1{path}", content, headers)

    def send(
        self,
        method: str,
        path: str,
        content: bytes | AsyncIterable[bytes] | None,
        headers: Mapping[str, str],
        *,
        accepted: tuple[int, ...] = (),
    ) -> Any:  # noqa: ANN401 - JSON
        """Send any request and return its decoded JSON answer, or None when it has no body.

        Args:
            method: the HTTP method.
            path: the path with its query.
            content: the body, whole or streamed.
            headers: the request's headers.
            accepted: statuses of failure that the caller reads from the answer itself.

        Raises:
            ProblemError: the server refuses.
            UnavailableError: it went away.
        """
        with _told():
            answer = self._runner.run(
                self._client.request(method, path, content=content, headers=dict(headers))
            )
        if answer.is_error and answer.status_code not in accepted:
            raise ProblemError.of(answer.status_code, answer.content)
        return msgspec.json.decode(answer.content) if answer.content else None

    def download(self, path: str, accept: str) -> Iterator[bytes]:
        """Yield the body of one answer piece by piece.

        Raises:
            ProblemError: the server refuses.
            UnavailableError: it broke off: it went away, or what it reads is damaged.
        """
        request = self._client.build_request("GET", path, headers={"Accept": accept})
        with _told():
            answer = self._runner.run(self._client.send(request, stream=True))
        try:
            if answer.is_error:
                raise ProblemError.of(answer.status_code, self._runner.run(answer.aread()))
            pieces = answer.aiter_bytes(1 << 20)
            while (piece := self._piece(pieces)) is not None:
                yield piece
        finally:
            self._runner.run(answer.aclose())

    def _piece(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        with _told():
            return self._runner.run(_next(pieces))


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except httpx2.TransportError as error:
        raise UnavailableError("the server went away or broke off") from error


@contextmanager
def connected(layout: Layout, passphrase_file: str | None) -> Iterator[Api]:
    """Give the API of the running server, or of the data directory itself when none runs.

    Raises:
        ConfigError: there is no data directory, or a server starts or stops just now.
        WrongPassphraseError: no server runs, and the passphrase does not open the directory.
    """
    with asyncio.Runner() as runner:
        if layout.control_socket.exists() and _answers(runner, layout):
            transport = httpx2.AsyncHTTPTransport(uds=str(layout.control_socket))
            with _client(runner, transport) as client:
                yield Api(runner, client)
            return
        with (
            direct_application(layout, passphrase_file) as application,
            _client(runner, LocalTransport(application)) as client,
        ):
            yield Api(runner, client)


@contextmanager
def _client(
    runner: asyncio.Runner, transport: httpx2.AsyncBaseTransport
) -> Iterator[httpx2.AsyncClient]:
    client = httpx2.AsyncClient(transport=transport, base_url=BASE, timeout=_DEADLINE)
    try:
        yield client
    finally:
        runner.run(client.aclose())


def _answers(runner: asyncio.Runner, layout: Layout) -> bool:
    """Tell whether a server listens; a socket file may be left of one that was killed."""

    async def ask() -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(layout.control_socket)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    return runner.run(ask())
