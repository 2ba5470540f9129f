# SPDX-License-Identifier: Apache-2.0
"""What ``radkeep.toml`` may say, and what it may never say."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radkeep.config import (
    FILE_NAME,
    ArchiveConfig,
    Config,
    KeysConfig,
    ServerConfig,
    ViewerConfig,
    check,
    load,
    render,
)
from radkeep.domain.errors import ConfigError

MIB = 1 << 20
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
PORTS = st.integers(0, 65_535)
SERVERS = st.builds(
    ServerConfig,
    hostname=st.from_regex(r"\A[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?\Z"),
    host=st.sampled_from(["127.0.0.1", "::1", "localhost", "127.9.9.9"]),
    web_port=PORTS,
    dimse_tls_port=PORTS,
    dimse_port=st.none() | PORTS,
    admin_port=PORTS,
    ae_title=st.from_regex(r"\A[!-\[\]-~]{1,16}\Z"),
)
CONFIGS = st.builds(
    Config,
    profile=st.sampled_from(["production", "demo"]),
    server=SERVERS,
    keys=st.builds(KeysConfig, provider=st.sampled_from(["passphrase", "credential"]), mirror=TEXT),
    archive=st.builds(
        ArchiveConfig,
        volume_bytes=st.integers(16 * MIB, 1 << 62),
        max_object_bytes=st.integers(MIB, 1 << 62),
    ),
    viewer=st.builds(ViewerConfig, directory=TEXT),
)


def written(folder: Path, text: str | bytes) -> Path:
    raw = text if isinstance(text, bytes) else text.encode()
    (folder / FILE_NAME).write_bytes(raw)
    return folder


def refused(folder: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as error:
        load(written(folder, text))
    return str(error.value)


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == Config()


def test_no_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run: radkeep init"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="run: radkeep init"):
        load(tmp_path / "nothing" / "here")


def test_what_is_no_directory_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "file")
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("profil = 'demo'", "profil"),
        ("[server]\nwebport = 1", "webport"),
        ("[sever]\n", "sever"),
        ("[keys]\npassphrase = 'swordfish'", "passphrase"),
        ("[archive]\nvolume_bytes = '1 GiB'", "volume_bytes"),
        ("[server]\nweb_port = 65536", "web_port"),
        ("[server]\nweb_port = -1", "web_port"),
        ("[server]\nweb_port = 8443.0", "web_port"),
        ("[server]\nhostname = 'bad host'", "hostname"),
        ('[server]\nhostname = "a.example\\n"', "hostname"),
        ("[server]\nhostname = ''", "hostname"),
        ("[server]\nae_title = 'SEVENTEEN LETTERS'", "ae_title"),
        ('[server]\nae_title = "RAD\\\\KEEP"', "ae_title"),
        ('[server]\nae_title = "RADKEEP\\n"', "ae_title"),
        ("[server]\nae_title = '   '", "ae_title"),
        ("[keys]\nprovider = 'none'", "provider"),
        ("profile = 'test'", "profile"),
        ("[archive]\nvolume_bytes = 1", "volume_bytes"),
        ("server = 1", "server"),
    ],
)
def test_a_wrong_word_refuses_to_start_and_is_named(tmp_path: Path, text: str, where: str) -> None:
    message = refused(tmp_path, text)
    assert where in message
    assert "swordfish" not in message


@pytest.mark.parametrize("raw", [b"[server\n", b"\xff\xfe\x00", b"profile = demo", b"a = 1\na = 2"])
def test_what_is_not_toml_is_refused(tmp_path: Path, raw: bytes) -> None:
    assert FILE_NAME in refused(tmp_path, raw)


@settings(max_examples=100, deadline=None)
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_our_error(
    raw: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("config")
    try:
        assert isinstance(load(written(folder, raw)), Config)
    except ConfigError:
        return


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "pacs.example", ""])
def test_a_demo_stays_on_this_machine(tmp_path: Path, host: str) -> None:
    assert "loopback" in refused(tmp_path, f"profile = 'demo'\n[server]\nhost = '{host}'")
    with pytest.raises(ConfigError):
        check(Config(profile="demo").with_server(host=host))


def test_production_never_keeps_its_key_beside_the_data(tmp_path: Path) -> None:
    assert "demo only" in refused(tmp_path, "[keys]\nprovider = 'file'")
    load(written(tmp_path, "profile = 'demo'\n[keys]\nprovider = 'file'"))


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.0.1", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
    ],
)
def test_what_counts_as_this_machine(host: str, *, loopback: bool) -> None:
    assert ServerConfig(host=host).is_loopback() is loopback


def test_flags_are_checked_like_the_file() -> None:
    assert Config().with_server(web_port=1).server.web_port == 1
    assert Config().with_server() == Config()
    for values in ({"web_port": 65_536}, {"web_port": "x"}, {"port": 1}, {"hostname": "a b"}):
        with pytest.raises(ConfigError):
            Config().with_server(**values)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Config().server.web_port = 1  # type: ignore[misc]


@settings(max_examples=200, deadline=None)
@given(config=CONFIGS)
def test_what_is_rendered_is_what_is_loaded(
    config: Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("config")
    assert load(written(folder, render(config))) == config


def test_everything_that_can_be_set_is_rendered() -> None:
    text = render(Config().with_server(dimse_port=104))
    for table in (ServerConfig, KeysConfig, ArchiveConfig, ViewerConfig):
        for field in msgspec.structs.fields(table):
            assert f"\n{field.encode_name} = " in text
