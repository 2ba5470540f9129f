# SPDX-License-Identifier: Apache-2.0
"""A real server under test from outside: founded, asked over its sockets, killed.

Invariant: what is compared came through a door; only what no door shows (quarantine, placements,
audit entries) is read from the files.
"""

import hashlib
import http.client
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radkeep.app.founding import found as found_directory
from radkeep.app.layout import Layout
from radkeep.app.serving import unlocking
from radkeep.app.unlocked import (
    AUDIT_PAYLOAD,
    AUDIT_SIGNING,
    CATALOG,
    Unlocked,
    mirror,
    provider,
)
from radkeep.archive.format import SUFFIX
from radkeep.archive.keyring import Keyring
from radkeep.audit.events import Event
from radkeep.audit.reader import LogReader
from radkeep.config import Config, KeysConfig, load
from radkeep.crypto.providers.file import FileProvider
from radkeep.crypto.sign import SigningKey
from radkeep.database.catalog.catalog import Catalog
from radkeep.database.catalog.quarantine import quarantined
from radkeep.domain.placement import Placement
from radkeep.domain.uid import Uid
from radkeep.testing.server import (
    READY_DEADLINE,
    Installation,
    Server,
    command,
    environment,
    found,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from rawsend import Association, AssociationError, Instance

__all__ = ["Association", "AssociationError", "Instance"]

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
DEVICE = "RAWSEND"
_LONG = ("OB", "OW", "UN", "SQ", "UT")
_ENTRY = b"radkeep.app.process"


def founded(folder: Path, *, passphrase: bool) -> Installation:
    """Found a clinic that takes C-STORE from loopback.

    Without a passphrase it is a demo with its key in a file, which starts a second sooner and is
    the same in all else.
    """
    if passphrase:
        installation = found(folder)
    else:
        layout = Layout(folder / "data")
        config = Config(profile="demo", keys=KeysConfig(provider="file"))
        found_directory(layout, config, FileProvider(layout.keyring), organization="Clinic")
        secret = folder / "passphrase"
        secret.write_text("not used")
        installation = Installation(layout.data, {}, secret)
    installation.run("device", "add", DEVICE, "--from", "127.0.0.0/8", "--allow", "store")
    return installation


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, so that a door that is restarted gets its own again."""
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return ports


def port_flags() -> list[str]:
    """Return flags for `serve` that fix the ports."""
    web, dimse = free_ports(2)
    return ["--web-port", str(web), "--dimse-port", str(dimse)]


# Making instances


def encode(elements: Iterable[tuple[int, str, bytes | str]], syntax: str = EXPLICIT) -> bytes:
    """Return a little endian data set of `elements`."""
    out = []
    for tag, vr, value in elements:
        raw = value.encode() if isinstance(value, str) else value
        raw += b"\0" * (len(raw) % 2) if vr in ("UI", "OB", "OW", "UN") else b" " * (len(raw) % 2)
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if syntax == IMPLICIT:
            head += struct.pack("<I", len(raw))
        elif vr in _LONG:
            head += vr.encode() + struct.pack("<HI", 0, len(raw))
        else:
            head += vr.encode() + struct.pack("<H", len(raw))
        out.append(head + raw)
    return b"".join(out)


def instance(uid: str, pixels: bytes, *, note: str = "", syntax: str = EXPLICIT) -> Instance:
    """Return a CT image; its study is `uid` without two arcs, its series without one."""
    series, _, number = uid.rpartition(".")
    study = series.rpartition(".")[0]
    rows_, columns = (len(pixels) // 1_000, 500) if len(pixels) >= 1_000 else (1, len(pixels) // 2)
    elements: list[tuple[int, str, bytes | str]] = [
        (0x00080005, "CS", "ISO_IR 192"),
        (0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        (0x00080016, "UI", CT),
        (0x00080018, "UI", uid),
        (0x00080020, "DA", "20260301"),
        (0x00080030, "TM", "101500"),
        (0x00080050, "SH", f"ACC{study[-6:]}"),
        (0x00080060, "CS", "CT"),
        (0x00081030, "LO", "Torture study"),
        (0x00100010, "PN", f"Torture^{study.rpartition('.')[2]}"),
        (0x00100020, "LO", f"PID{study.rpartition('.')[2]}"),
        (0x0020000D, "UI", study),
        (0x0020000E, "UI", series),
        (0x00200013, "IS", number),
        (0x00204000, "LT", note),
        (0x00280002, "US", struct.pack("<H", 1)),
        (0x00280004, "CS", "MONOCHROME2"),
        (0x00280010, "US", struct.pack("<H", rows_)),
        (0x00280011, "US", struct.pack("<H", columns)),
        (0x00280100, "US", struct.pack("<H", 16)),
        (0x7FE00010, "OW", pixels),
    ]
    return Instance(CT, uid, syntax, encode(elements, syntax))


def digest(instance: Instance) -> str:
    """Return the SHA-256 of the data set, by which answers are compared."""
    return hashlib.sha256(instance.data_set).hexdigest()


def study_of(uid: str) -> str:
    """Return the study that `instance` gives to `uid`."""
    return uid.rsplit(".", 2)[0]


def part10(instance: Instance) -> bytes:
    """Return `instance` as a file."""
    meta = encode(
        [
            (0x00020001, "OB", b"\0\1"),
            (0x00020002, "UI", instance.sop_class),
            (0x00020003, "UI", instance.sop_instance),
            (0x00020010, "UI", instance.transfer_syntax),
            (0x00020012, "UI", "2.25.137405276839061524411532870129485761234"),
        ]
    )
    length = encode([(0x00020000, "UL", struct.pack("<I", len(meta)))])
    return bytes(128) + b"DICM" + length + meta + instance.data_set


def taken_apart(file: bytes) -> tuple[str, str]:
    """Return SOP Instance UID and digest of the data set of a Part 10 file."""
    if file[128:132] != b"DICM":
        raise AssertionError("not a Part 10 file")
    start = 144 + int.from_bytes(file[140:144], "little")
    at = file.index(b"\x02\x00\x03\x00UI", 132, start)
    length = int.from_bytes(file[at + 6 : at + 8], "little")
    uid = file[at + 8 : at + 8 + length].rstrip(b"\0").decode()
    return uid, hashlib.sha256(memoryview(file)[start:]).hexdigest()


# Asking


class _Local(http.client.HTTPConnection):
    def __init__(self, path: Path, deadline: float) -> None:
        super().__init__("radkeep", timeout=deadline)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class Reply:
    """An answer over the control socket."""

    status: int
    kind: str
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the decoded body; an empty one is an empty list."""
        return json.loads(self.body) if self.body else []


def ask(
    data: Path,
    path: str,
    *,
    accept: str = "application/dicom+json",
    body: bytes | None = None,
    kind: str = "",
    deadline: float = 60.0,
) -> Reply:
    """Ask as the operator, over the control socket.

    Raises:
        OSError, http.client.HTTPException: the server is not there, or went away.
    """
    with closing(_Local(Layout(data).control_socket, deadline)) as link:
        headers = {"Accept": accept} | ({"Content-Type": kind} if kind else {})
        link.request("GET" if body is None else "POST", path, body, headers)
        reply = link.getresponse()
        return Reply(reply.status, reply.getheader("Content-Type", ""), reply.read())


def stow(data: Path, instances: Sequence[Instance]) -> tuple[int, dict[str, int]]:
    """Store over STOW-RS; return the HTTP status and each instance's reason, 0 for success."""
    boundary = secrets.token_hex(16)
    part = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(part + part10(each) + b"\r\n" for each in instances)
    body += f"--{boundary}--\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    reply = ask(data, "/dicom-web/studies", body=body, kind=kind)
    told = reply.json() if "json" in reply.kind else {}
    reasons = {
        item["00081155"]["Value"][0]: item["00081197"]["Value"][0]
        for item in told.get("00081198", {}).get("Value", [])
    }
    stored = {item["00081155"]["Value"][0]: 0 for item in told.get("00081199", {}).get("Value", [])}
    return reply.status, reasons | stored


def rows(data: Path, level: str) -> list[dict[str, Any]]:
    """Return all rows of a QIDO level ("studies", "series", "instances") with all attributes."""
    found: list[dict[str, Any]] = []
    while True:
        path = f"/dicom-web/{level}?includefield=all&limit=1000&offset={len(found)}"
        reply = ask(data, path)
        if reply.status not in (200, 204):
            raise AssertionError(f"QIDO {level}: {reply.status}")
        page = reply.json()
        found += page
        if len(page) < 1000:
            return sorted(found, key=lambda row: json.dumps(row, sort_keys=True))


def retrieved(data: Path, study: str) -> dict[str, str]:
    """Return the digest of each instance that WADO-RS gives of a study."""
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    reply = ask(data, f"/dicom-web/studies/{study}", accept=accept)
    if reply.status != 200:
        raise AssertionError(f"WADO {study}: {reply.status} {reply.body[:300]!r}")
    return dict(taken_apart(file) for file in parts(reply))


def parts(reply: Reply) -> list[bytes]:
    """Return the parts of a multipart answer."""
    boundary = reply.kind.partition("boundary=")[2].partition(";")[0].strip('"').encode()
    pieces = reply.body.split(b"--" + boundary)
    if pieces[-1].strip(b"\r\n") != b"--":
        raise AssertionError("a multipart answer was cut off")
    return [piece.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for piece in pieces[1:-1]]


def metadata(data: Path, study: str) -> list[dict[str, Any]]:
    """Return the WADO-RS metadata of a study."""
    reply = ask(data, f"/dicom-web/studies/{study}/metadata")
    if reply.status != 200:
        raise AssertionError(f"metadata of {study}: {reply.status}")
    return sorted(reply.json(), key=lambda item: item["00080018"]["Value"][0])


def answers(data: Path) -> dict[str, Any]:
    """Return everything that a running server answers about what it keeps."""
    studies = rows(data, "studies")
    uids = sorted(row["0020000D"]["Value"][0] for row in studies)
    return {
        "studies": studies,
        "series": rows(data, "series"),
        "instances": rows(data, "instances"),
        "digests": {uid: dict(sorted(retrieved(data, uid).items())) for uid in uids},
        "metadata": {uid: metadata(data, uid) for uid in uids},
    }


@contextmanager
def opened(installation: Installation) -> Iterator[Unlocked]:
    """Give the keys of an installation while no server runs."""
    layout = Layout(installation.data)
    secret = str(installation.passphrase_file)
    with unlocking(layout, load(layout.data), str, passphrase_file=secret) as unlocked:
        yield unlocked


def quarantine(installation: Installation) -> list[tuple[str, ...]]:
    """Return what is in quarantine while no server runs."""
    with (
        opened(installation) as unlocked,
        closing(Catalog.open(unlocked.layout.catalog, unlocked.secret(CATALOG))) as catalog,
    ):
        return sorted(
            (
                each.sop_instance,
                each.study,
                each.series,
                each.sop_class,
                each.transfer_syntax,
                each.digest.hex(),
                str(each.data_set_length),
                each.placement.volume,
                str(each.placement.offset),
                each.source,
                each.received,
            )
            for organization in unlocked.keyring.organizations()
            for each in quarantined(catalog._database, organization, limit=100_000)
        )


def placements(installation: Installation, study: str) -> dict[str, Placement]:
    """Return where the instances of a study lie; a server may run."""
    layout = Layout(installation.data)
    keys = load(layout.data).keys
    secret = str(installation.passphrase_file)
    root = provider(layout, keys, str, passphrase_file=secret).unlock()
    keyring = Keyring.open(layout.keyring, mirror(layout, keys), root)
    key = keyring.key(keyring.find(CATALOG) or b"")
    with closing(Catalog.open(layout.catalog, key)) as catalog:
        return {
            each.sop_instance: each.placement
            for organization in keyring.organizations()
            for each in catalog.instances(organization, Uid(study))
        }


def flip(data: Path, place: Placement, at: int) -> None:
    """Change one byte of a record, `at` bytes behind its beginning, whatever the permissions."""
    path = data / "volumes" / (place.volume + SUFFIX)
    mode = path.stat().st_mode
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(place.offset + at)
        (old,) = file.read(1)
        file.seek(place.offset + at)
        file.write(bytes([old ^ 0x10]))
    path.chmod(mode)


def audited(installation: Installation) -> list[tuple[str, Event]]:
    """Return process and event of each audit entry while no server runs."""
    with opened(installation) as unlocked:
        key = SigningKey.from_bytes(unlocked.secret(AUDIT_SIGNING)).public
        log = LogReader(unlocked.layout.audit, unlocked.secret(AUDIT_PAYLOAD), key)
        return [(entry.process, entry.event) for entry in log.read()]


# Processes


def processes(server: Server) -> dict[str, int]:
    """Return the pids of a server's processes by name."""
    names = {}
    for pid in server.pids():
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"radkeep.sandbox" in arguments:
            names["zygote"] = pid
            continue
        child = _ENTRY in arguments
        names[arguments[arguments.index(_ENTRY) + 1].decode() if child else "supervisor"] = pid
    return names


def power_cut(server: Server) -> None:
    """Stop every process at one moment, then end all of them, so that none reacts to another."""
    pids = server.pids()
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, number)
    server.process.wait(READY_DEADLINE)
    wait_until(lambda: not any(_alive(pid) for pid in pids), "processes to end")


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")  # one that waits to be collected holds nothing any more


def wait_until(condition: Callable[[], bool], what: str, deadline: float = 30.0) -> None:
    """Look every 20 ms until `condition` holds.

    Raises:
        AssertionError: it did not in time.
    """
    pause = threading.Event()
    for _ in range(int(deadline / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError(f"waited {deadline:.0f} s for {what}")


def stopped(server: Server) -> int:
    """Ask the server to stop as a service manager does; return its exit status."""
    server.process.terminate()
    return server.process.wait(READY_DEADLINE)


def verified(installation: Installation) -> str:
    """Run both verifications at the same time; return what they found wrong, or ""."""
    runs = [
        subprocess.Popen(
            command(*arguments, "--data", str(installation.data)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(installation.passphrase_file),
        )
        for arguments in (("verify", "--full"), ("audit", "verify"))
    ]
    said = [run.communicate(timeout=120)[0] for run in runs]
    return "".join(text for run, text in zip(runs, said, strict=True) if run.returncode)
