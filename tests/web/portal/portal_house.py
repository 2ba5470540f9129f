# SPDX-License-Identifier: Apache-2.0
"""A clinic behind the portal, real use cases over memory, and a browser in front of it."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path

from httpx2 import Response
from starlette.testclient import TestClient

from radkeep.crypto import otp
from radkeep.database.catalog.catalog import Catalog
from radkeep.dicom.head import InstanceHead, Layout
from radkeep.domain.placement import Placement
from radkeep.identity import actors
from radkeep.identity.assembly import Identity, assemble
from radkeep.retrieval.fetch import Fetch
from radkeep.retrieval.search import Search
from radkeep.testing.arrivals import arrival, facts
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.identity import FakeClock, MemoryRegistry, PlainPasswords
from radkeep.web.application import application
from radkeep.web.kit.authentication import Authentication
from radkeep.web.kit.routes import Kit
from radkeep.web.kit.threads import Threads
from radkeep.web.portal.frames import Frames
from radkeep.web.portal.routes import PortalParts, page_surface, portal_routes
from radkeep.web.viewer.routes import viewer_routes
from radkeep.web.viewer.serving import Viewer

BASE = "https://localhost:8443"
OWNER = "owner@clinic.example"
PASSWORD = "violet kettle marches on"
ORIGIN = {"source": "CT1", "kind": "device", "address": "10.0.0.7", "protocol": "c-store"}
FIRST = facts(1)  # the one instance whose head can be read
HEAD = InstanceHead(
    sop_class=str(FIRST.sop_class),
    sop_instance=str(FIRST.sop_instance),
    study=str(FIRST.study),
    series=str(FIRST.series),
    transfer_syntax="1.2.840.10008.1.2.1",
    digest=arrival(FIRST).digest,
    received_length=0,
    layout=Layout(
        data_set_offset=0, data_set_length=0, elements=b"", tail=b"", cuts=(), pixel=None
    ),
    origin=ORIGIN,
).encode()


class Heads:
    """Satisfies ``retrieval.ports.RecordReader`` where only heads are read."""

    def head(self, placement: Placement) -> bytes:
        return HEAD

    def body(self, placement: Placement, start: int, stop: int) -> Iterator[bytes]:
        raise AssertionError("the portal reads no body")


@dataclass
class House:
    """A clinic, and a browser in it."""

    client: TestClient
    identity: Identity
    catalog: Catalog
    clock: FakeClock
    audit: MemoryAuditLog
    organization: str
    link: str
    secret: bytes = b""
    codes: list[str] = field(default_factory=list)

    def get(self, path: str, **headers: str) -> Response:
        return self.client.get(path, headers=headers)

    def post(self, path: str, **form: str) -> Response:
        return self.client.post(path, data=form, headers={"origin": BASE})

    def offered_secret(self) -> bytes:
        page = self.get(f"/enrol?token={self.link}")
        key = re.search(r'class="code key">([A-Z2-7 ]+)<', page.text)
        assert page.status_code == 200
        assert key is not None
        return base64.b32decode(key[1].replace(" ", ""))

    def code(self) -> str:
        self.clock.pass_(seconds=30)
        return otp.code_at(self.secret, otp.step_at(self.clock.now()))

    def enrol(self) -> Response:
        self.secret = self.offered_secret()
        done = self.post(
            "/enrol", token=self.link, password=PASSWORD, again=PASSWORD, code=self.code()
        )
        self.codes = re.findall(r"<li>([^<]+)</li>", done.text)
        return done

    def sign_in(self, target: str = "", *, remember: bool = True) -> Response:
        step = self.post("/sign-in", email=OWNER, password=PASSWORD, next=target)
        if "/sign-in/code" not in step.headers.get("location", ""):
            return step
        keep = {"remember": "yes"} if remember else {}
        return self.post("/sign-in/code", code=self.code(), next=target, **keep)

    def ready(self) -> "House":
        self.enrol()
        assert self.sign_in().status_code == 303
        return self


def build(tmp_path: Path, *, demo: bool = False) -> House:
    clock, audit = FakeClock(), MemoryAuditLog()
    identity = assemble(MemoryRegistry(), audit=audit, clock=clock, passwords=PlainPasswords())
    founded = identity.founding.found(
        actors.local(0), "Clinic", administrator="" if demo else OWNER, demo=demo
    )
    catalog = Catalog.open(tmp_path / "catalog.db", b"k" * 32)
    ways = {"catalog": catalog, "policy": identity.policy, "audit": audit, "clock": clock}
    kit = Kit(
        authentication=Authentication(
            sessions=identity.sessions,
            tokens=identity.tokens,
            organizations=identity.organizations,
        ),
        threads=Threads(workers=2),
    )
    frames = Frames(demo=demo)
    surface = page_surface(kit, frames)
    parts = PortalParts(
        login=identity.login,
        sessions=identity.sessions,
        enrolment=identity.enrolment,
        demo=identity.demo,
        search=Search(**ways),
        fetch=Fetch(records=Heads(), **ways),
    )
    routes = [*portal_routes(kit, parts, frames), *viewer_routes(surface, Viewer(tree=None))]
    app = application(routes, not_found=surface)
    client = TestClient(app, base_url=BASE, follow_redirects=False, client=("127.0.0.1", 5000))
    link = founded.enrolment.token if founded.enrolment else ""
    return House(client, identity, catalog, clock, audit, founded.organization.id, link)


def words(response: Response) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.text)))
