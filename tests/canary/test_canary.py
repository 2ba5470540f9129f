# SPDX-License-Identifier: Apache-2.0
"""Nothing readable: a patient goes through every door, and then is nowhere to be found.

What may be read on disk at all is in ``PLAIN``, with what it holds.
"""

import base64
import math
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import canary_patient as canary
import pytest
import requests
from corpus_files import split
from corpus_house import RAW, House, Store

import radkeep.testing.server as programs
import rawsend
from radkeep.crypto.otp import code_at, step_at
from radkeep.domain.clock import SystemClock

PASSWORD = "seven quiet otters paddle upstream"
PLAIN = {
    r"radkeep\.toml": "settings: ports, paths, the name of the key provider",
    r"audit\.pub": "the audit log's public key",
    r"tls/ca\.pem": "the public certificate of the private CA",
    r"keyring/root\.json": "the root key, wrapped, and the public parameters of its provider",
    r"keyring/(mirror/)?keys\.log": "frames: identifiers and labels beside wrapped keys",
    r"audit/[0-9]{16}\.tree": "records of the tree: salted commitments, offsets",
    r"audit/(checkpoint|checkpoints|range|erasures)": "sizes, roots and signatures",
    r"(catalog|registry)\.db-shm": "the index of the write-ahead log: page numbers",
    r"run/(lock|[a-z]+\.sock)": "empty",
}
SEALED = {
    r"(catalog|registry)\.db(-wal)?": "SQLCipher pages",
    r"audit/[0-9]{16}\.payloads": "sealed payloads behind a header of 16 bytes",
    r"volumes/[0-9a-f]+\.[a-z]+": "sealed parts between frame headers",
}
READABLE = re.compile(rb"[\x20-\x7e]{24,}")  # in 100 MB of noise, this long comes once in 300 runs
LARGE = 65_536  # bytes
ENTROPY = 7.9  # bits a byte
PAGE = 4096


@dataclass(frozen=True)
class Aftermath:
    """What is left when everything was tried."""

    store: Store
    began: float
    secrets: Sequence[str]


@pytest.fixture(scope="module")
def aftermath(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Send the canary through every door; the server still runs."""
    folder = tmp_path_factory.mktemp("canary-files")
    with house.empty() as store:
        mark = folder / "began"
        mark.touch()
        _store_everything(store, folder)
        _conflicts_and_refusals(store)
        _queries(store)
        secrets = _people(store, folder)
        yield Aftermath(store, mark.stat().st_mtime, secrets)
        store.server.kill()  # a power cut leaves nothing readable, either
        left = _files(store.installation.data)
        assert not [name for name, path in left if canary.betrayed(_content(path))]


def _store_everything(store: Store, folder: Path) -> None:
    sent = rawsend.send(store.dimse, [_instance(canary.image(1, implicit=True))], calling=RAW)
    assert sent.statuses == [0]
    assert store.stow(canary.file_of(canary.image(2)), canary.file_of(canary.document(3)))[0] == 200
    inbox = folder / canary.PATIENT
    inbox.mkdir()
    (inbox / f"{canary.NAME}.dcm").write_bytes(canary.file_of(canary.image(4)))
    (inbox / f"{canary.PATIENT}.txt").write_text(canary.NAME)
    told = store.installation.run("import", str(inbox), check=False)
    assert "1 stored, 1 rejected" in told.stdout


def _conflicts_and_refusals(store: Store) -> None:
    """Fail in every way that has patient data at hand."""
    other = canary.image(1, pixels=canary.PIXELS[::-1])
    assert rawsend.send(store.dimse, [_instance(other)], calling=RAW).statuses == [0xC010]
    assert store.stow(canary.file_of(other))[0] == 409
    whole = canary.file_of(canary.image(5))
    illegal = f"1.2.{canary.PATIENT}".ljust(len(canary.STUDY), ".").encode()
    bad = whole.replace(canary.STUDY.encode(), illegal)
    wrong = bytes(1000) + canary.NAME.encode() * 100
    for content in (whole[:-1000], whole[:900], bad, wrong):
        assert store.stow(content)[0] == 409
    instance = _instance(canary.image(7))
    cut = rawsend.Instance(*_uids(instance), instance.data_set[:-999])
    assert rawsend.send(store.dimse, [cut], calling=RAW).statuses == [0xC000]
    named = rawsend.Instance(instance.sop_class, "1.2.3", *_uids(instance)[2:], instance.data_set)
    assert rawsend.send(store.dimse, [named], calling=RAW).statuses == [0xA900]
    with pytest.raises(rawsend.AssociationError):
        rawsend.send(store.dimse, [instance], calling=canary.PATIENT)


def _queries(store: Store) -> None:
    name, patient = canary.NAME, canary.PATIENT
    for query in (
        f"PatientName={name}",
        f"PatientID={patient}",
        "PatientName=zzqx*&fuzzymatching=true",
    ):
        assert len(store.get(f"/studies?{query}", "*/*").json()) == 1
    instance = f"/studies/{canary.STUDY}/series/{canary.STUDY}.2/instances/{canary.STUDY}.1.2"
    assert canary.PIXELS.encode() in store.instance(instance)
    assert canary.PIXELS.encode() in store.get(f"{instance}/frames/1", "*/*").content
    assert store.get(f"/studies/{canary.STUDY}/metadata", "*/*").status_code == 200
    for path in (
        f"/studies/{name}",
        f"/studies/{patient}/metadata",
        f"/{patient}?PatientName={name}",
        f"/studies?{patient}={name}",
        f"/studies?limit={patient}",
        f"{instance}/frames/{patient}",
        f"{instance}/bulkdata/{patient}",
    ):
        assert store.get(path, "*/*").status_code in {400, 404}, path


def _people(store: Store, folder: Path) -> Sequence[str]:
    """Enrol, sign in with pages, search; then fail to. Return what must be secret besides."""
    token = store.installation.founded["enrolment"]["token"]
    password = folder / "password"
    password.write_text(PASSWORD)
    told = store.installation.json(
        "user", "enrol", "--token", token, "--password-file", str(password)
    )
    secret = parse_qs(urlsplit(told["totp_uri"]).query)["secret"][0]
    store.installation.run("user", "invite", canary.EMAIL, "--role", "radiologist")
    base = f"https://localhost:{store.server.web}"
    with requests.Session() as session:
        session.trust_env = False
        session.verify = store.session.verify
        for email in (canary.EMAIL, f"no.{canary.EMAIL}"):
            credentials = {"email": email, "password": canary.NAME * 2, "code": "000000"}
            answer = session.post(f"{base}/api/v1/session", json=credentials, timeout=30)
            assert answer.status_code == 401
            page = session.post(f"{base}/sign-in", data=credentials, timeout=30)
            assert page.status_code == 401
        owner = {"email": programs.ADMINISTRATOR, "password": PASSWORD}
        session.post(f"{base}/sign-in", data=owner, timeout=30).raise_for_status()
        # Enrolment at the host uses no code up: the current one is good.
        code = code_at(_unbase32(secret), step_at(SystemClock().now()))
        session.post(f"{base}/sign-in/code", data={"code": code}, timeout=30).raise_for_status()
        for field in ({"name": "zzqx"}, {"patient_id": canary.PATIENT}, {"name": canary.NAME}):
            found = session.post(f"{base}/studies", data=field, timeout=30)
            assert found.status_code == 200, found.text
            assert "zzqx" not in found.url.lower()
        page = session.get(f"{base}/studies/{canary.STUDY}", timeout=30)
        assert page.status_code == 200
        assert canary.PATIENT in page.text
        missing = session.get(f"{base}/studies/{canary.PATIENT}?name={canary.NAME}", timeout=30)
        assert missing.status_code in {400, 404}
    return [PASSWORD, secret, token, *told["recovery_codes"]]


def _unbase32(text: str) -> bytes:
    return base64.b32decode(text + "=" * (-len(text) % 8))


def _instance(ds: canary.Dataset) -> rawsend.Instance:
    syntax, data_set = split(canary.file_of(ds))
    return rawsend.Instance(ds.SOPClassUID, ds.SOPInstanceUID, syntax, data_set)


def _uids(instance: rawsend.Instance) -> tuple[str, str, str]:
    return instance.sop_class, instance.sop_instance, instance.transfer_syntax


def _files(data: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(data.rglob("*")):
        if not path.is_dir():
            yield path.relative_to(data).as_posix(), path


def _content(path: Path) -> bytes:
    return path.read_bytes() if stat.S_ISREG(path.stat().st_mode) else b""


def _is(name: str, patterns: dict[str, str]) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def test_the_canary_can_be_found_at_all(aftermath: Aftermath) -> None:
    """Show that the search would see it: in what the server gives to those who may ask."""
    assert canary.betrayed(aftermath.store.get("/studies", "*/*").content)
    for word in canary.WORDS:
        for text in (
            word.encode().hex().encode(),
            word.encode("utf-16-le"),
            canary.quote(word).encode(),
        ):
            assert canary.betrayed(b"before" + text + b"after")
        for offset in range(3):
            encoded = base64.b64encode(b"x" * offset + word.encode() + b"yz")
            assert canary.betrayed(encoded), word


def test_data_directory_and_log_hold_no_word_of_the_canary(aftermath: Aftermath) -> None:
    seen = 0
    for name, path in _files(aftermath.store.installation.data):
        content = _content(path)
        seen += len(content)
        assert not canary.betrayed(name.encode()), name
        assert not canary.betrayed(content), name
        for secret in aftermath.secrets:
            assert secret.encode() not in content, name
    assert seen > 2 << 20
    log = "".join(aftermath.store.server.log)
    assert "dimse.store.refused" in log
    assert not canary.betrayed(log.encode())
    for secret in aftermath.secrets:
        assert secret not in log


def test_every_file_is_sealed_or_on_the_list(aftermath: Aftermath) -> None:
    for name, path in _files(aftermath.store.installation.data):
        assert _is(name, PLAIN) != _is(name, SEALED), name
        mode = path.stat().st_mode
        assert not mode & 0o077, f"{name}: others may use it"
        if _is(name, SEALED):
            text = READABLE.search(_content(path))
            assert text is None, (name, text[:1] if text else "")


def test_what_is_large_is_noise(aftermath: Aftermath) -> None:
    checked = 0
    for name, path in _files(aftermath.store.installation.data):
        content = _content(path)
        pages = (content[at : at + PAGE] for at in range(0, len(content), PAGE))
        written = b"".join(page.rstrip(b"\0") for page in pages)
        if len(written) >= LARGE and not _is(name, PLAIN):
            assert _entropy(written) > ENTROPY, name
            checked += 1
    assert checked >= 2


def _entropy(content: bytes) -> float:
    total = len(content)
    shares = [count / total for count in Counter(content).values()]
    return -sum(share * math.log2(share) for share in shares)


def test_processes_show_nothing(aftermath: Aftermath) -> None:
    for pid in aftermath.store.server.pids():
        for part in ("cmdline", "environ"):
            content = _process_file(pid, part)
            assert not canary.betrayed(content), part
            for secret in aftermath.secrets:
                assert secret.encode() not in content


def _process_file(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except PermissionError:
        return b""  # not even its own user may look: better still


def test_nothing_is_written_outside_of_the_data_directory(aftermath: Aftermath) -> None:
    data = str(aftermath.store.installation.data)
    for pid in aftermath.store.server.pids():
        for path, flags in _open_files(pid):
            writable = flags & os.O_ACCMODE != os.O_RDONLY
            if writable and path.startswith("/") and not path.startswith(("/dev/", "/proc/")):
                assert path.startswith(data), f"{path} is open for writing"
                assert not path.endswith(" (deleted)"), path


def _open_files(pid: int) -> Iterator[tuple[str, int]]:
    try:
        entries = list(Path(f"/proc/{pid}/fd").iterdir())
    except PermissionError:
        return
    for entry in entries:
        try:
            path = str(entry.readlink())
            info = Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text()
        except FileNotFoundError:
            continue
        flags = re.search(r"^flags:\s*(\d+)", info, re.MULTILINE)
        assert flags
        yield path, int(flags[1], 8)


def test_the_folder_for_temporary_files_holds_nothing(aftermath: Aftermath) -> None:
    for path in Path("/tmp").iterdir():
        if path.is_file() and path.stat().st_mtime >= aftermath.began:
            assert not canary.betrayed(path.read_bytes()), path
