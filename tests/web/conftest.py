# SPDX-License-Identifier: Apache-2.0
"""The whole way in and out behind the web doors: real archive, catalog and identity, on a disk."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from radkeep.archive.reader import VolumeReader
from radkeep.archive.writer import VolumeWriter
from radkeep.audit.events import Event
from radkeep.crypto.certificates import issue_server, new_authority
from radkeep.crypto.tokens import new_token
from radkeep.database.catalog.catalog import Catalog
from radkeep.dicom.encode import encode
from radkeep.dicom.part10 import file_meta
from radkeep.dimse.scu.echo import EchoScu
from radkeep.domain.actor import Actor
from radkeep.identity import actors
from radkeep.identity.accounts import Accounts
from radkeep.identity.certificates import Certificates
from radkeep.identity.deeds import Deeds
from radkeep.identity.demo import Demo
from radkeep.identity.devices import Devices
from radkeep.identity.echo import EchoTest
from radkeep.identity.enrolment import Enrolment
from radkeep.identity.knocks import Knocks
from radkeep.identity.login import Login
from radkeep.identity.organizations import Organizations
from radkeep.identity.permissions import Scope as TokenScope
from radkeep.identity.policy import Policy
from radkeep.identity.recovery import Recovery
from radkeep.identity.sessions import Sessions
from radkeep.identity.throttle import Throttle
from radkeep.identity.tokens import Tokens
from radkeep.identity.zones import Zones
from radkeep.ingest.judgment import Judge
from radkeep.ingest.store import Store
from radkeep.retrieval.decoder import Decoder
from radkeep.retrieval.deletions import Deletions
from radkeep.retrieval.fetch import Fetch
from radkeep.retrieval.overlay import Overlay
from radkeep.retrieval.search import Search
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.authority import MemoryAuthority, NoServerCertificates
from radkeep.testing.deletions import MemoryDeletions
from radkeep.testing.identity import FakeClock, MemoryRegistry, PlainPasswords
from radkeep.testing.records import FixedKeys
from radkeep.web.api.certificates import revocation_routes
from radkeep.web.api.routes import ApiParts, api_routes
from radkeep.web.application import application, health_routes
from radkeep.web.dicomweb.routes import dicomweb_routes
from radkeep.web.kit.authentication import PEER, Authentication
from radkeep.web.kit.routes import GuardedRoute, Kit, Surface
from radkeep.web.kit.threads import Threads
from radkeep.web.kit.tls import server_context
from radkeep.web.server import Listener, bind_tcp, bind_unix, serve

BASE = "https://pacs.test"
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
ROOT = "1.2.826.0.1.3680043.8.498.9"
OBJECT_LIMIT = 4 << 20


class Trail:
    """The audit log's end, from memory."""

    def __init__(self, log: MemoryAuditLog) -> None:
        self._log = log

    def tail(self, actor: Actor, count: int) -> Sequence[tuple[int, str, Event]]:
        entries = list(enumerate(self._log.events))[-count:]
        return [(index, "web", event) for index, event in entries]


class House:
    """Everything below the doors."""

    def __init__(self, folder: Path, decoder: Decoder | None = None) -> None:
        self.clock, self.audit = FakeClock(), MemoryAuditLog()
        self.registry = MemoryRegistry()
        policy = Policy()
        deeds = Deeds(policy=policy, audit=self.audit, clock=self.clock)
        passwords, throttle = PlainPasswords(), Throttle()
        self.volumes, keys = folder / "volumes", FixedKeys()
        volumes = self.volumes
        volumes.mkdir()
        self.catalog = Catalog.open(folder / "catalog.db", bytes(32))
        self.records = VolumeReader(volumes, keys=keys)
        self.writer = VolumeWriter(
            volumes, keys=keys, catalog=self.catalog, judge=Judge(self.records), clock=self.clock
        )
        self.store = Store(
            recorder=self.writer,
            policy=policy,
            audit=self.audit,
            clock=self.clock,
            limit=OBJECT_LIMIT,
        )
        memory = MemoryDeletions()
        ways = {
            "catalog": Overlay(deletions=memory, catalog=self.catalog),
            "policy": policy,
            "audit": self.audit,
            "clock": self.clock,
        }
        self.search = Search(**ways)
        self.deletions = Deletions(store=memory, **ways)
        self.fetch = Fetch(records=self.records, decoder=decoder, **ways)
        registry = self.registry
        self.organizations = Organizations(
            organizations=registry.organizations,
            zones=registry.zones,
            deeds=deeds,
            clock=self.clock,
        )
        self.accounts = Accounts(accounts=registry.accounts, deeds=deeds, clock=self.clock)
        self.enrolment = Enrolment(
            registry=registry, passwords=passwords, deeds=deeds, clock=self.clock
        )
        self.sessions = Sessions(
            registry=registry,
            passwords=passwords,
            throttle=throttle,
            deeds=deeds,
            audit=self.audit,
            clock=self.clock,
        )
        self.tokens = Tokens(
            tokens=registry.tokens, deeds=deeds, audit=self.audit, clock=self.clock
        )
        knocks = Knocks(
            knocks=registry.knocks,
            organizations=registry.organizations,
            deeds=deeds,
            audit=self.audit,
            clock=self.clock,
        )
        devices = Devices(
            devices=registry.devices,
            certificates=registry.certificates,
            zones=registry.zones,
            knocks=knocks,
            deeds=deeds,
            clock=self.clock,
            ae_title="RADKEEP",
        )
        self.parts = ApiParts(
            login=Login(
                registry=registry,
                sessions=self.sessions,
                passwords=passwords,
                throttle=throttle,
                audit=self.audit,
                clock=self.clock,
            ),
            sessions=self.sessions,
            accounts=self.accounts,
            enrolment=self.enrolment,
            recovery=Recovery(registry=registry, enrolment=self.enrolment, deeds=deeds),
            organizations=self.organizations,
            tokens=self.tokens,
            certificates=Certificates(
                certificates=registry.certificates,
                devices=registry.devices,
                authority=MemoryAuthority(self.clock),
                deeds=deeds,
                clock=self.clock,
            ),
            server_certificates=NoServerCertificates(),
            devices=devices,
            echo=EchoTest(devices=devices, deeds=deeds, peers=EchoScu(devices, ae_title="RADKEEP")),
            knocks=knocks,
            zones=Zones(zones=registry.zones, deeds=deeds, clock=self.clock),
            demo=Demo(registry=registry, sessions=self.sessions, deeds=deeds, clock=self.clock),
            deletions=self.deletions,
            status=lambda _actor: {"instances": 0},
            trail=Trail(self.audit),
            public_origin=BASE,
        )
        self.clinic = self.organizations.create(actors.local(0), "Clinic")
        self.threads = Threads(workers=4)
        self.kit = Kit(
            authentication=Authentication(
                sessions=self.sessions, tokens=self.tokens, organizations=self.organizations
            ),
            threads=self.threads,
        )

    def routes(self) -> list[GuardedRoute]:
        surface = Surface(kit=self.kit)
        return [
            *dicomweb_routes(
                surface,
                store=self.store,
                search=self.search,
                fetch=self.fetch,
                deletions=self.deletions,
            ),
            *api_routes(self.kit, self.parts),
            *revocation_routes(surface, certificates=self.parts.certificates),
            *health_routes(surface, lambda: True),
        ]

    def token(self, *scopes: str, organization: str = "") -> str:
        """Return a new token of the clinic, or of another organization."""
        operator = actors.local(0, organization=organization or self.clinic.id)
        return self.tokens.create(operator, f"t{new_token()[:8]}", scopes)

    def close(self) -> None:
        self.threads.close()
        self.writer.close()
        self.records.close()
        self.catalog.close()


@dataclass
class Web:
    """The application and a client of it; each call runs to its end."""

    house: House
    app: ASGIApp
    token: str

    def send(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        **options: Any,  # noqa: ANN401 - httpx2's own
    ) -> httpx2.Response:
        """Send one request in process, by default with a token that may do everything."""
        headers = dict(options.pop("headers", {}))
        bearer = self.token if token is None else token
        if bearer:
            headers.setdefault("Authorization", f"Bearer {bearer}")

        async def run() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=self.app)
            async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
                return await client.request(method, path, headers=headers, **options)

        return asyncio.run(run())

    def get(self, path: str, accept: str | None = None) -> httpx2.Response:
        headers = {"Accept": accept} if accept else {}
        return self.send("GET", path, headers=headers)

    def store(self, *files: bytes, path: str = "/dicom-web/studies") -> httpx2.Response:
        """Store files as the parts of one request."""
        kind = 'multipart/related; type="application/dicom"; boundary=frontier'
        return self.send("POST", path, content=related(*files), headers={"Content-Type": kind})

    def as_operator(self, uid: int = 0) -> "Web":
        """Return a client at the control socket."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"] = {PEER: {"uid": uid}}
            await self.app(scope, receive, send)

        return Web(self.house, app, "")


def related(
    *files: bytes, boundary: bytes = b"frontier", kind: bytes = b"application/dicom"
) -> bytes:
    """Return files as a multipart/related body."""
    head = b"\r\n--" + boundary + b"\r\nContent-Type: " + kind + b"\r\n\r\n"
    return b"".join(head + file for file in files) + b"\r\n--" + boundary + b"--\r\n"


def dicom_file(
    study: int = 1,
    series: int = 1,
    number: int = 1,
    *,
    pixels: bytes = b"",
    **more: tuple[str, Any],
) -> bytes:
    """Return a small CT image; ``more`` replaces attributes by ``tXXXXXXXX=(vr, value)``."""
    sop = f"{ROOT}.{study}.{series}.{number}"
    elements: dict[int, tuple[str, Any]] = {
        0x00080016: ("UI", CT),
        0x00080018: ("UI", sop),
        0x00080020: ("DA", "20260301"),
        0x00080060: ("CS", "CT"),
        0x00081030: ("LO", "Head"),
        0x00100010: ("PN", f"Phantom^Patient{study}"),
        0x00100020: ("LO", f"P{study}"),
        0x0020000D: ("UI", f"{ROOT}.{study}"),
        0x0020000E: ("UI", f"{ROOT}.{study}.{series}"),
        0x00200011: ("IS", str(series)),
        0x00200013: ("IS", str(number)),
        0x00280002: ("US", 1),
        0x00280004: ("CS", "MONOCHROME2"),
        0x00280008: ("IS", "2"),
        0x00280010: ("US", 4),
        0x00280011: ("US", 4),
        0x00280100: ("US", 8),
        0x00280101: ("US", 8),
        0x00280102: ("US", 7),
        0x00280103: ("US", 0),
        0x7FE00010: ("OW", pixels or bytes(range(32))),
    }
    for name, replaced in more.items():
        elements[int(name[1:], 16)] = replaced
    body = encode([(tag, vr, value) for tag, (vr, value) in elements.items()])
    return file_meta(CT, sop, EXPLICIT) + body


@pytest.fixture
def house(tmp_path: Path, decoder: Decoder) -> Iterator[House]:
    made = House(tmp_path, decoder)
    yield made
    made.close()


@pytest.fixture
def web(house: House) -> Web:
    scopes = [scope for scope in TokenScope if scope is not TokenScope.DICOMWEB_DELETE]
    return Web(house, application(house.routes()), house.token(*scopes))


@pytest.fixture
def make_file() -> Callable[..., bytes]:
    return dicom_file


@pytest.fixture
def make_related() -> Callable[..., bytes]:
    return related


class Served:
    """The application behind real listeners, on a loop in a thread of its own."""

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self.control = folder / "control.sock"
        sock = bind_tcp("127.0.0.1", 0)
        self.port: int = sock.getsockname()[1]
        now = datetime.now(UTC)  # noqa: TID251 - certificates are checked against the real time
        authority = new_authority(bytes(32), ["localhost"], now=now)
        issued = issue_server(
            authority.certificate, bytes(32), bytes(range(32)), "localhost", now=now
        )
        self.authority = folder / "ca.pem"
        self.authority.write_bytes(authority.certificate)
        self._listeners = [
            Listener(
                sock=sock,
                application=app,
                tls=server_context(issued.certificate, issued.key),
            ),
            Listener(sock=bind_unix(self.control), application=app),
        ]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def trust(self) -> ssl.SSLContext:
        """Return a client's context that trusts this server alone."""
        return ssl.create_default_context(cafile=str(self.authority))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await serve(self._listeners, stop=self._stop, ready=self._ready.set)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())


@pytest.fixture
def served(web: Web, tmp_path: Path) -> Iterator[Served]:
    made = Served(web.app, tmp_path)
    yield made
    made.close()
