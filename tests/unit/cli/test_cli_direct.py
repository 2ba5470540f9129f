# SPDX-License-Identifier: Apache-2.0
"""Every command on a stopped directory: what it prints, its exit code, and its refusals."""

import os
import socket
import stat
import sys
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pydicom
import pytest
from cli_runs import STUDY, Commands, commands, dicom_file

from radkeep.app.layout import Layout, locked
from radkeep.domain.clock import SystemClock

PASSWORD = "tiger-lamp-orbit-94"
ADMIN = "admin@clinic.example"


def review_date() -> str:
    return (SystemClock().now() + timedelta(days=90)).date().isoformat()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands")


@pytest.fixture
def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Commands]:
    """Return commands on a directory that the tests of this file share."""
    with commands(folder, monkeypatch, capsys) as made:
        yield made


@pytest.fixture
def fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Commands]:
    """Return commands on a directory of this test's own."""
    with commands(tmp_path, monkeypatch, capsys) as made:
        yield made


def test_people_are_invited_given_roles_disabled_and_recovered(run: Commands) -> None:
    told = run.json("user", "invite", "rosa@clinic.example", "--role", "radiologist")
    assert told["enrolment"]["url"].endswith(told["enrolment"]["token"])
    again = run("user", "invite", "rosa@clinic.example", "--role", "radiologist")
    assert (again.code, again.out) == (5, "")
    link = run("user", "enrol-link", "rosa@clinic.example")
    assert link.out.startswith("https://localhost:8443/enrol?token=")
    assert run("user", "enrol-link", "nobody@clinic.example").code == 4
    assert run("user", "roles", "rosa@clinic.example", "secretary", "technologist").code == 0
    assert run("user", "roles", "rosa@clinic.example", "emperor").code == 1
    assert run("user", "disable", "rosa@clinic.example").code == 0
    (rosa,) = [each for each in run.json("user", "list") if each["email"].startswith("rosa")]
    assert sorted(rosa["roles"]) == ["secretary", "technologist"]
    assert rosa["disabled"]
    assert run("user", "enable", "rosa@clinic.example").code == 0
    assert run("user", "recover", "rosa@clinic.example").out.startswith("https://")
    assert "rosa@clinic.example" in run("user", "list").out


def test_enrolment_prints_what_a_person_needs(run: Commands, folder: Path) -> None:
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n")
    token = (folder / "token").read_text()
    short = folder / "short"
    short.write_text("short")
    assert run("user", "enrol", "--token", token, "--password-file", short).code == 1
    assert run("user", "enrol", "--token", "wrong", "--password-file", secret).code in {1, 4}
    told = run.json("user", "enrol", "--token", token, "--password-file", secret)
    assert set(told) >= {"totp_uri", "recovery_codes"}
    assert told["totp_uri"].startswith("otpauth://totp/")
    assert len(told["recovery_codes"]) == 10
    again = run("user", "enrol", "--token", token, "--password-file", secret)
    assert again.code != 0
    assert PASSWORD not in again.err


def test_devices_come_and_go_whatever_they_are_called(run: Commands) -> None:
    for title in ("CT/2?x=1#y", "[red]A%20B"):
        made = run.json("device", "add", title, "--from", "10.0.0.0/8", "--allow", "store,find")
        assert made["ae_title"] == title
        assert made["from"] == ["10.0.0.0/8"]
        assert sorted(made["allow"]) == ["find", "store"]
        assert title in run("device", "list").out
        assert run("device", "add", title, "--from", "10.0.0.0/8").code == 5
        assert run("device", "remove", title).code == 0
        assert run("device", "remove", title).code == 4
    assert run.json("device", "list") == []
    assert run.json("device", "list", "--pending") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("TOO-LONG-A-TITLE-X", "--from", "10.0.0.0/8"),
        ("CT", "--from", "ten"),
        ("CT", "--from", "10.0.0.0/8", "--allow", "everything"),
        ("CT", "--host", "10.0.0.1", "--port", "70000"),
    ],
)
def test_a_device_that_makes_no_sense_is_refused(run: Commands, arguments: tuple[str, ...]) -> None:
    ran = run("device", "add", *arguments)
    assert ran.code == 1
    assert ran.err.startswith("radkeep: ")
    assert ran.err.count("\n") == 1


def test_a_device_may_be_named_by_where_it_listens(run: Commands) -> None:
    made = run.json("device", "add", "WS", "--host", "10.0.0.9", "--port", "104")
    assert (made["host"], made["port"]) == ("10.0.0.9", 104)
    assert run("device", "remove", "WS").code == 0


def test_zones_need_a_reason_for_plaintext(run: Commands) -> None:
    assert run("zone", "add", "ct room", "10.9.0.0/16", "--plaintext").code == 1
    made = run.json(
        *("zone", "add", "ct/mr room", "10.9.0.0/16", "--plaintext"),
        *("--reason", "old scanners", "--review", review_date()),
    )
    assert made["networks"] == ["10.9.0.0/16"]
    names = [each["name"] for each in run.json("zone", "list")]
    assert sorted(names) == ["ct/mr room", "loopback"]
    assert run("zone", "remove", "ct/mr room").code == 0
    assert run("zone", "remove", "ct/mr room").code == 4


def test_a_token_is_printed_alone_and_once(run: Commands) -> None:
    ran = run("token", "create", "router", "--scope", "dicomweb:write", "--scope", "dicomweb:read")
    assert ran.code == 0
    assert len(ran.out.split()) == 1
    assert len(ran.out.strip()) >= 43
    (listed,) = run.json("token", "list")
    assert ran.out.strip() not in str(listed)
    assert sorted(listed["scopes"]) == ["dicomweb:read", "dicomweb:write"]
    assert run("token", "create", "t", "--scope", "everything").code == 1
    assert run("token", "create", "t", "--scope", "dicomweb:read", "--expires", "soon").code == 1
    told = run.json("token", "create", "t", "--scope", "dicomweb:read", "--expires", "30d")
    assert told["token"]
    assert run("token", "revoke", "t").code == 0
    assert run("token", "revoke", "nobody").code == 4


def test_the_log_shows_who_did_what(run: Commands) -> None:
    entries = run.json("audit", "tail", "--count", "5")
    assert len(entries) == 5
    assert entries[-1]["event"] == "110101"
    assert entries[-1]["actor_name"] == f"local:{os.getuid()}"
    assert run.json("audit", "verify")["sound"] is True
    assert "sound" in run("audit", "verify").out
    assert run("organization", "list").out.count("Clinic") == 1


def test_import_export_verify_and_rebuild(fresh: Commands, tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    for number in (1, 2):
        (media / f"{number}.dcm").write_bytes(dicom_file(number))
    (media / "large.dcm").write_bytes(dicom_file(3, pixels=os.urandom(3 << 20)))
    (media / "DICOMDIR").write_bytes(b"DICM")
    with zipfile.ZipFile(media / "more.zip", "w") as archive:
        archive.writestr("../../4.dcm", dicom_file(4))
    assert fresh.json("import", media) == {"stored": 4, "rejected": []}
    assert fresh.json("import", media) == {"stored": 4, "rejected": []}  # again is success
    out = tmp_path / "out"
    told = fresh.json("export", STUDY, out)
    assert told == {"instances": 4, "failed": []}
    assert sorted(path.name for path in out.iterdir()) == [f"{n:06}.dcm" for n in range(1, 5)]
    exported = {path.read_bytes() for path in out.iterdir()}
    assert exported == {
        dicom_file(1),
        dicom_file(2),
        (media / "large.dcm").read_bytes(),
        dicom_file(4),
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o600}
    assert pydicom.dcmread(out / "000001.dcm").PatientID == "PID-7"
    again = fresh("export", STUDY, out)
    assert (again.code, "not empty" in again.err) == (5, True)
    assert fresh.json("verify", "--full") == {"damaged": 0, "findings": []}
    (fresh.data / "catalog.db").unlink()
    assert fresh.json("rebuild")["records"] >= 4
    assert fresh.json("export", STUDY, tmp_path / "out2")["instances"] == 4
    assert fresh.json("audit", "verify")["sound"] is True


def test_rejected_files_are_told_with_their_reasons(fresh: Commands, tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    (media / "a.dcm").write_bytes(dicom_file(1))
    (media / "b.dcm").write_bytes(dicom_file(1, pixels=b"\1" * 512))  # other content, same UID
    (media / "c.txt").write_bytes(b"no DICOM\x1b[2J" * 40)
    (media / "d.dcm").write_bytes(dicom_file(2)[:-100])
    (media / "e.dcm").symlink_to(media / "a.dcm")
    (media / "empty").write_bytes(b"")
    with zipfile.ZipFile(media / "f.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(30 << 20))
        archive.writestr("good", dicom_file(3))
    (media / "g.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    ran = fresh("import", media, "--json")
    assert ran.code == 1
    told = ran.json
    assert told["stored"] == 2
    reasons = {each["file"]: each["reason"] for each in told["rejected"]}
    assert set(reasons) == {
        *("b.dcm", "c.txt", "d.dcm", "e.dcm", "empty", "f.zip:bomb", "g.zip"),
    }
    assert all(reasons.values())
    assert "link" in reasons["e.dcm"]
    assert "far more" in reasons["f.zip:bomb"]
    assert reasons["g.zip"] == "the archive is damaged"
    plain = fresh("import", media)
    assert plain.code == 1
    assert plain.out == "2 stored, 7 rejected\n"
    assert plain.err.count("rejected ") == 7
    assert fresh.json("verify", "--full")["damaged"] == 0
    assert fresh("import", tmp_path / "gone").code == 4


def test_a_damaged_record_is_named_and_the_others_exported(fresh: Commands, tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    for number in (1, 2):
        noise = bytes([number]) * 300_000
        (media / f"{number}.dcm").write_bytes(dicom_file(number, pixels=noise))
    assert fresh.json("import", media)["stored"] == 2
    (volume,) = [
        path for path in (fresh.data / "volumes").rglob("*") if path.stat().st_size > 500_000
    ]
    volume.chmod(0o600)
    with volume.open("r+b") as file:
        file.seek(250_000)
        byte = file.read(1)
        file.seek(250_000)
        file.write(bytes([byte[0] ^ 1]))
    ran = fresh("export", STUDY, tmp_path / "out", "--json")
    assert ran.code == 9
    assert ran.json["instances"] == 1
    (failed,) = ran.json["failed"]
    assert failed["instance"].startswith(STUDY)
    (kept,) = (tmp_path / "out").iterdir()
    assert kept.suffix == ".dcm"
    assert pydicom.dcmread(kept).StudyInstanceUID == STUDY
    checked = fresh("verify", "--full", "--json")
    assert checked.code == 9
    assert checked.json["damaged"] >= 1


def test_a_rewritten_log_is_found_by_its_index(fresh: Commands) -> None:
    fresh.json("audit", "tail")
    (payloads,) = (fresh.data / "audit").glob("*.payloads")
    raw = bytearray(payloads.read_bytes())
    raw[-30] ^= 1
    payloads.write_bytes(raw)
    ran = fresh("audit", "verify", "--json")
    assert ran.code == 9
    assert ran.json["sound"] is False
    assert ran.json["faults"]


def test_refusals_have_one_line_and_a_code(run: Commands, folder: Path) -> None:
    for arguments, code in (
        (("export", "1.2.3.4", folder / "nothing"), 4),
        (("export", "../../etc", folder / "nothing"), 1),
        (("serve", "--web-port", "65536"), 1),
        (("init", "--admin", ADMIN), 5),
        (("init", "--data", folder), 5),
        (("init", "--data", folder / "new", "--hostname", "bad host"), 1),
        (("audit", "tail", "--count", "-1"), 1),
        (("user", "list", "--passphrase-file", folder / "gone"), 1),
    ):
        ran = run(*arguments)
        assert ran.code == code, (arguments, ran)
        assert ran.out == ""
        assert ran.err.startswith("radkeep: ")
        assert ran.err.count("\n") == 1
    assert not (folder / "nothing").exists()
    assert not (folder / "new").exists()
    assert run("frobnicate").code == 2
    assert run("device", "add").code == 2
    assert "COMMAND" in run("--help").out
    assert run("--version").out.startswith("radkeep")


def test_nobody_else_reaches_a_server_that_nobody_administers(fresh: Commands) -> None:
    ran = fresh("serve", "--host", "0.0.0.0", "--web-port", "0")
    assert ran.code == 1
    assert "enrol an administrator" in ran.err


def test_without_a_data_directory_it_says_what_to_do(
    run: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RADKEEP_DATA")
    for arguments in (
        ("serve",),
        ("user", "list"),
        ("import", tmp_path),
        ("verify",),
        ("rebuild",),
        ("audit", "tail"),
    ):
        ran = run(*arguments)
        assert (ran.code, "radkeep init" in ran.err) == (1, True), arguments
    assert run("audit", "verify").code == 1
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert run("user", "list", "--data", tmp_path / "file").code == 1


def test_the_flag_is_stronger_than_the_variable(run: Commands, tmp_path: Path) -> None:
    assert run("user", "list", "--data", tmp_path).code == 1
    assert run("user", "list").code == 0


def test_a_wrong_passphrase_is_a_clear_error(run: Commands, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong horse battery staple")
    for arguments in (("serve",), ("user", "list"), ("verify",), ("rebuild",)):
        ran = run(*arguments, "--passphrase-file", wrong)
        assert ran.code == 1
        assert "passphrase" in ran.err
        assert ran.err.count("\n") == 1


def test_a_passphrase_is_asked_for_only_at_a_terminal(
    run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RADKEEP_PASSPHRASE_FILE")
    monkeypatch.setattr(sys, "stdin", None)
    for arguments in (("user", "list"), ("serve",), ("verify",), ("rebuild",)):
        ran = run(*arguments)
        assert ran.code == 1
        assert "--passphrase-file" in ran.err


def test_a_socket_of_a_server_that_was_killed_is_no_server(run: Commands) -> None:
    stale = Layout(run.data).control_socket
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    assert stale.exists()
    assert run("user", "list").code == 0
    stale.unlink()
    stale.write_bytes(b"")  # and neither is a file
    assert run("user", "list").code == 0
    stale.unlink()


def test_a_directory_in_use_is_said_to_be(run: Commands) -> None:
    with locked(Layout(run.data)):
        for arguments in (("user", "list"), ("rebuild",), ("serve",)):
            ran = run(*arguments)
            assert (ran.code, "another" in ran.err) == (1, True)


def test_init_prints_what_the_founder_needs(run: Commands, tmp_path: Path) -> None:
    ran = run("init", "--data", tmp_path / "new", "--admin", ADMIN, "--organization", "Mercy")
    assert ran.code == 0
    assert "recovery key" in ran.out
    assert "https://localhost:8443/enrol?token=" in ran.out
    told = run.json("init", "--data", tmp_path / "other", "--admin", ADMIN)
    assert set(told) == {"data", "organization", "admin", "enrolment", "ca", "recovery_key"}
    assert set(told["enrolment"]) == {"url", "token", "expires"}
    assert set(told["ca"]) == {"path", "sha256"}
