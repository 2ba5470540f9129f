# SPDX-License-Identifier: Apache-2.0
"""A demo clinic on a loopback port, and a Chromium that reports what it refused.

Invariant: rooms and doors are the real ones, below TLS; only the keeper's log, the registry and the
keyring are in memory. Each part that starts is stopped by its ``with`` block.
"""

import asyncio
import shutil
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from radkeep.app.demo.samples import packaged
from radkeep.archive.reader import VolumeReader
from radkeep.archive.writer import VolumeWriter
from radkeep.crypto.certificates import issue_server, new_authority
from radkeep.database.catalog.catalog import Catalog
from radkeep.domain.clock import SystemClock
from radkeep.domain.errors import RadkeepError
from radkeep.identity import actors
from radkeep.identity.assembly import Identity, assemble
from radkeep.identity.permissions import Permission
from radkeep.ingest.judgment import Judge
from radkeep.ingest.store import Store
from radkeep.retrieval.deletions import Deletions
from radkeep.retrieval.fetch import Fetch
from radkeep.retrieval.overlay import Overlay
from radkeep.retrieval.search import Search
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.deletions import MemoryDeletions
from radkeep.testing.identity import MemoryRegistry, PlainPasswords
from radkeep.testing.records import FixedKeys
from radkeep.web.application import application
from radkeep.web.dicomweb.routes import dicomweb_routes
from radkeep.web.kit.authentication import Authentication
from radkeep.web.kit.routes import Kit, Surface
from radkeep.web.kit.threads import Threads
from radkeep.web.portal.frames import Frames
from radkeep.web.portal.routes import PortalParts, page_surface, portal_routes
from radkeep.web.server import Listener, bind_tcp, serve
from radkeep.web.viewer.routes import open_viewer, viewer_routes

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Looked at and harmless: a dialog's scroll lock wants a style element of its own.
HARMLESS = ("react-remove-scroll",)
SLICES, SIDE = 24, 128
PHANTOM = "1.2.826.0.1.3680043.8.498.77"


@dataclass
class Clinic:
    """A running demo."""

    base: str
    identity: Identity

    def link(self) -> str:
        """Return a new sign-in link."""
        return f"{self.base}/demo?token={self.identity.demo.create_link(actors.local(0)).token}"


@contextmanager
def running(folder: Path, files: Iterable[bytes]) -> Iterator[Clinic]:
    """Store ``files`` in a new demo and serve it."""
    clock, audit, keys = SystemClock(), MemoryAuditLog(), FixedKeys()
    identity = assemble(MemoryRegistry(), audit=audit, clock=clock, passwords=PlainPasswords())
    founded = identity.founding.found(actors.local(0), "Clinic", demo=True)
    volumes = folder / "volumes"
    volumes.mkdir()
    catalog = Catalog.open(folder / "catalog.db", bytes(32))
    records = VolumeReader(volumes, keys=keys)
    writer = VolumeWriter(volumes, keys=keys, catalog=catalog, judge=Judge(records), clock=clock)
    ways = {"policy": identity.policy, "audit": audit, "clock": clock}
    store = Store(recorder=writer, limit=64 << 20, **ways)
    memory = MemoryDeletions()
    ways |= {"catalog": Overlay(deletions=memory, catalog=catalog)}
    search = Search(**ways)
    fetch = Fetch(records=records, **ways)
    deletions = Deletions(store=memory, **ways)
    fill(store, files, founded.organization.id)
    kit = Kit(
        authentication=Authentication(
            sessions=identity.sessions,
            tokens=identity.tokens,
            organizations=identity.organizations,
        ),
        threads=Threads(workers=4),
    )
    frames = Frames(demo=True)
    pages = page_surface(kit, frames)
    parts = PortalParts(
        login=identity.login,
        sessions=identity.sessions,
        enrolment=identity.enrolment,
        demo=identity.demo,
        search=search,
        fetch=fetch,
    )
    routes = [
        *dicomweb_routes(
            Surface(kit=kit), store=store, search=search, fetch=fetch, deletions=deletions
        ),
        *portal_routes(kit, parts, frames),
        *viewer_routes(pages, open_viewer()),
    ]
    sock = bind_tcp("127.0.0.1", 0)
    port = sock.getsockname()[1]
    listener = Listener(
        sock=sock, application=application(routes, not_found=pages), tls=certificate(folder)
    )
    with listening(listener):
        yield Clinic(f"https://localhost:{port}", identity)
    kit.threads.close()
    writer.close()
    records.close()
    catalog.close()


def fill(store: Store, files: Iterable[bytes], organization: str) -> None:
    """Store what can be stored."""
    actor = actors.system("import", Permission.INSTANCE_STORE, organization=organization)
    transfer = store.transfer(actor, session="e2e", protocol="import")
    for file in files:
        try:
            reception = store.receive(transfer, transfer_syntax=None)
            reception.feed(memoryview(file))
            reception.finish().result(20)
        except RadkeepError:
            continue
    transfer.close()


def certificate(folder: Path) -> ssl.SSLContext:
    """Return a TLS context with a certificate of its own authority."""
    now, seeds = SystemClock().now(), (b"a" * 32, b"s" * 32)
    authority = new_authority(seeds[0], ["localhost"], now=now)
    issued = issue_server(authority.certificate, *seeds, "localhost", now=now)
    pem = folder / "web.pem"
    pem.write_bytes(issued.certificate + issued.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Run the server in a thread of its own."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve([listener], stop=stop, ready=ready.set))
        loop.close()

    thread = threading.Thread(target=run, name="e2e-server")
    thread.start()
    try:
        assert ready.wait(20)
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


@dataclass
class Looker:
    """A page of a browser, and all that the browser complained about."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        page = self.page
        page.on("pageerror", lambda error: self._say(f"script: {error}"))
        page.on("console", lambda said: self._say(said.text) if said.type == "error" else None)
        page.on("request", lambda sent: self._outside(sent.url))

    def _outside(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "blob:")):
            self._say(f"request to another origin: {url}")

    def _say(self, text: str) -> None:
        if not any(word in text for word in HARMLESS):
            self.complaints.append(text[:300])


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the system's Chromium, or skip the test where there is none."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not here; on Debian: apt install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def samples() -> Iterator[bytes]:
    """Yield the files of the demo, and a phantom: a bright ball in a gray cube."""
    for _, content in packaged():
        yield content
    z, y, x = np.mgrid[0:SLICES, 0:SIDE, 0:SIDE]
    ball = (x - 64) ** 2 + (y - 64) ** 2 + ((z - 12) * 4) ** 2 < 40**2
    volume = np.where(ball, 300, 20 + x // 4).astype(np.int16)
    for number in range(SLICES):
        yield _slice(volume[number], number + 1)


def _slice(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.int16]]", number: int) -> bytes:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"{PHANTOM}.1.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = PHANTOM, f"{PHANTOM}.1"
    ds.FrameOfReferenceUID = f"{PHANTOM}.2"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Ball^Gray", "E2E", "", "O"
    ds.StudyDate, ds.StudyTime, ds.Modality, ds.StudyID = "20260301", "101500", "CT", "1"
    ds.StudyDescription, ds.SeriesDescription = "PHANTOM", "Axial"
    ds.SeriesNumber, ds.InstanceNumber = 1, number
    ds.ImageType, ds.PatientPosition = ["ORIGINAL", "PRIMARY", "AXIAL"], "HFS"
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 4 * number], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [1, 1], 4
    ds.Rows = ds.Columns = SIDE
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.WindowCenter, ds.WindowWidth = 0, 1, 150, 400
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW"
    out = BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()
