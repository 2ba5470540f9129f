# SPDX-License-Identifier: Apache-2.0
"""What an import is given: folders, files, archives, and all that may be wrong with them."""

import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radkeep.cli import sources as sources_module
from radkeep.cli.sources import sources
from radkeep.domain.errors import InvalidRequestError, NotFoundError, RadkeepError, TooLargeError

CONTENT = bytes(128) + b"DICM" + b"x" * 3000


def read(*paths: Path) -> dict[str, bytes | str]:
    """Return each source's content, or why it has none."""
    found: dict[str, bytes | str] = {}
    for source in sources(paths):
        try:
            found[source.name] = b"".join(source.pieces())
        except RadkeepError as error:
            found[source.name] = str(error)
    return found


def packed(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_a_folder_gives_every_file_below_it_in_order(tmp_path: Path) -> None:
    for name in ("b/2.dcm", "b/1.dcm", "a.dcm", "b/c/3"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    found = read(tmp_path)
    assert list(found) == ["a.dcm", "b/1.dcm", "b/2.dcm", "b/c/3"]
    assert found["b/c/3"] == b"b/c/3"
    assert read(tmp_path / "a.dcm") == {"a.dcm": b"a.dcm"}


def test_directories_of_media_are_left_out(tmp_path: Path) -> None:
    for name in ("DICOMDIR", "dicomdir", "LOCKFILE", "VERSION", "IMG00001"):
        (tmp_path / name).write_bytes(CONTENT)
    assert list(read(tmp_path)) == ["IMG00001"]
    archive = packed(
        tmp_path / "m.zip", {"cd/DICOMDIR": CONTENT, "cd\\DICOMDIR": b"", "cd/1": b"1"}
    )
    assert list(read(archive)) == ["m.zip:cd/1"]


def test_an_archive_is_read_without_being_unpacked(tmp_path: Path) -> None:
    archive = packed(tmp_path / "study.zip", {"a/1.dcm": CONTENT, "a/": b"", "2": b"two"})
    before = set(tmp_path.rglob("*"))
    assert read(archive) == {"study.zip:a/1.dcm": CONTENT, "study.zip:2": b"two"}
    assert read(tmp_path) == {"study.zip:a/1.dcm": CONTENT, "study.zip:2": b"two"}
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/cron.d/evil", "C:\\evil", "a/../../../evil", "..\\..\\evil"]
)
def test_a_name_in_an_archive_is_only_words(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "deep" / "down"
    inside.mkdir(parents=True)
    archive = packed(inside / "slip.zip", {name: CONTENT})
    before = set(tmp_path.rglob("*"))
    assert list(read(archive).values()) == [CONTENT]
    assert set(tmp_path.rglob("*")) == before


def test_links_are_told_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    media = tmp_path / "media"
    media.mkdir()
    (media / "link").symlink_to(tmp_path / "secret")
    (media / "round").symlink_to(media, target_is_directory=True)
    (media / "dead").symlink_to(media / "nowhere")
    with zipfile.ZipFile(media / "l.zip", "w") as archive:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    found = read(media)
    assert found.pop("l.zip:link") == "a link is not followed"
    assert found.pop("link") == "a link is not followed"
    assert found.pop("dead") == "a link is not followed"
    assert b"secret" not in found.values()


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    archive = packed(tmp_path / "bomb.zip", {"bomb": bytes(30 << 20), "fine": CONTENT})
    found = read(archive)
    assert "far more" in str(found["bomb.zip:bomb"])
    assert found["bomb.zip:fine"] == CONTENT


def _forge(archive: Path, change: Callable[[bytearray, int], None]) -> None:
    raw = bytearray(archive.read_bytes())
    change(raw, raw.index(b"PK\x01\x02"))
    archive.write_bytes(raw)


@pytest.mark.parametrize("claimed", [1, 2000, 5000, 1 << 31])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_forged_size_never_gives_a_part_for_the_whole(
    tmp_path: Path, claimed: int, method: int
) -> None:
    content = os.urandom(3000)
    archive = packed(tmp_path / "forged.zip", {"one": content}, method)

    def claim(raw: bytearray, at: int) -> None:
        raw[at + 24 : at + 28] = struct.pack("<I", claimed)

    _forge(archive, claim)
    (found,) = read(archive).values()
    assert isinstance(found, str) or (found == content and claimed > 3000)


@pytest.mark.parametrize("where", [40, 60, 200])
def test_a_damaged_entry_is_refused_and_the_next_one_read(tmp_path: Path, where: int) -> None:
    archive = packed(tmp_path / "bad.zip", {"bad": os.urandom(3000), "good": CONTENT})
    raw = bytearray(archive.read_bytes())
    raw[where] ^= 0xFF
    archive.write_bytes(raw)
    found = read(archive)
    assert isinstance(found["bad.zip:bad"], str)
    assert found["bad.zip:good"] == CONTENT


def test_an_encrypted_or_unknown_entry_is_refused(tmp_path: Path) -> None:
    archive = packed(tmp_path / "e.zip", {"e": CONTENT})
    _forge(archive, lambda raw, at: raw.__setitem__(at + 8, raw[at + 8] | 1))
    assert read(archive) == {"e.zip:e": "a packed file cannot be read"}
    archive = packed(tmp_path / "u.zip", {"u": CONTENT})
    _forge(archive, lambda raw, at: raw.__setitem__(at + 10, 77))
    assert read(archive) == {"u.zip:u": "a packed file cannot be read"}


@pytest.mark.parametrize("raw", [b"PK\x03\x04", b"PK\x03\x04" + bytes(500), b"PK\x05\x06half"])
def test_a_broken_archive_is_a_rejected_file_and_no_end(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(raw)
    (tmp_path / "b.dcm").write_bytes(CONTENT)
    assert read(tmp_path) == {"a.zip": "the archive is damaged", "b.dcm": CONTENT}


def test_too_many_entries_are_refused_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources_module, "MAX_ENTRIES", 3)
    archive = packed(tmp_path / "many.zip", {str(number): b"" for number in range(4)})
    assert read(archive) == {"many.zip": "the archive has too many files"}


def test_a_file_over_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_module, "MAX_OBJECT_BYTES", 3000)
    (tmp_path / "large").write_bytes(CONTENT)
    (source,) = sources([tmp_path])
    with pytest.raises(TooLargeError):
        list(source.pieces())


def test_a_dicom_file_that_ends_or_begins_like_an_archive_is_one(tmp_path: Path) -> None:
    hidden = packed(tmp_path / "hidden.zip", {"other": b"other"}).read_bytes()
    (tmp_path / "hidden.zip").unlink()
    (tmp_path / "tail.dcm").write_bytes(CONTENT + hidden)
    (tmp_path / "front.dcm").write_bytes(b"PK\x03\x04" + CONTENT[4:])
    found = read(tmp_path)
    assert found["tail.dcm"] == CONTENT + hidden
    assert found["front.dcm"] == b"PK\x03\x04" + CONTENT[4:]


def test_names_cannot_play_with_a_terminal_or_an_encoding(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2J\n.dcm").write_bytes(b"1")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.dcm")).write_bytes(b"2")
    names = list(read(tmp_path))
    assert len(names) == 2
    for name in names:
        assert name.isprintable()
        name.encode()


def test_what_is_not_there_is_said_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(CONTENT)
    with pytest.raises(NotFoundError, match="gone"):
        next(sources([tmp_path / "there", tmp_path / "gone"]))
    with pytest.raises(NotFoundError):
        next(sources([Path(os.devnull)]))


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    (source,) = sources([tmp_path])
    (tmp_path / "file").unlink()
    with pytest.raises(InvalidRequestError):
        list(source.pieces())


@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=300), cut=st.integers(0, 400), place=st.integers(0, 400))
def test_any_archive_is_read_or_refused(
    raw: bytes, cut: int, place: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("zip")
    archive = packed(folder / "any.zip", {"one": b"1" * 50, "two": b"2" * 50})
    whole = bytearray(archive.read_bytes())
    whole[place : place + cut] = raw
    archive.write_bytes(whole)
    for content in read(archive).values():
        assert isinstance(content, bytes | str)
