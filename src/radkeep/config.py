# SPDX-License-Identifier: Apache-2.0
"""The machine's settings: one frozen value, read once from ``radkeep.toml`` and checked whole.

Invariant: a misspelt key or an unsafe value refuses to start; secrets stand here only by reference.
What people edit (devices, zones, accounts) lives in the registry instead.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from radkeep.domain.errors import ConfigError

FILE_NAME: Final = "radkeep.toml"
Hostname = Annotated[  # RFC 1123, or an IPv4 address; it stands in addresses and certificates
    str, msgspec.Meta(pattern=r"\A(?!.{254})[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\Z")
]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]  # 0 lets the system choose, for tests
_MIB: Final = 1 << 20


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the doors are."""

    hostname: Hostname = "localhost"
    host: str = "127.0.0.1"
    web_port: Port = 8443
    dimse_tls_port: Port = 2762  # DICOM over TLS
    dimse_port: Port | None = None  # plaintext DIMSE, for zones that allow it
    admin_port: Port = 9443  # not yet served
    ae_title: Annotated[str, msgspec.Meta(pattern=r"\A(?! )[ -\[\]-~]{1,16}(?<! )\Z")] = "RADKEEP"

    def is_loopback(self) -> bool:
        """Tell whether no other machine can reach the doors."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class KeysConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the root key comes from and where the keyring's second copy lies."""

    provider: Literal["passphrase", "credential", "file"] = "passphrase"
    mirror: str = "keyring/mirror"  # relative to the data directory, better on another disk


class ArchiveConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How volumes are kept."""

    volume_bytes: Annotated[int, msgspec.Meta(ge=16 * _MIB)] = 1024 * _MIB
    max_object_bytes: Annotated[int, msgspec.Meta(ge=_MIB)] = 16 * 1024 * _MIB


class ViewerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the built viewer lies; empty means where ``make viewer`` puts it."""

    directory: str = ""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that ``radkeep.toml`` may say."""

    profile: Literal["production", "demo"] = "production"
    server: ServerConfig = ServerConfig()
    keys: KeysConfig = KeysConfig()
    archive: ArchiveConfig = ArchiveConfig()
    viewer: ViewerConfig = ViewerConfig()

    def with_server(self, **values: str | int) -> "Config":
        """Return this configuration with other ``[server]`` values, for one run.

        Raises:
            ConfigError: a value is out of range.
        """
        try:
            merged = msgspec.to_builtins(self.server) | values
            server = msgspec.convert(merged, ServerConfig)
        except msgspec.ValidationError as error:
            raise ConfigError(f"not a valid setting: {error}") from error
        return msgspec.structs.replace(self, server=server)


def load(data: Path) -> Config:
    """Return the configuration of data directory ``data``.

    Raises:
        ConfigError: no such file, not TOML, an unknown key, a wrong type or an unsafe choice.
    """
    try:
        raw = (data / FILE_NAME).read_bytes()
    except FileNotFoundError:
        raise ConfigError("no radkeep.toml in the data directory; run: radkeep init") from None
    except OSError as error:
        raise ConfigError(f"radkeep.toml cannot be read: {error.strerror}") from error
    try:
        config = msgspec.toml.decode(raw, type=Config)
    except UnicodeDecodeError as error:
        raise ConfigError("radkeep.toml is not UTF-8 text") from error
    except msgspec.DecodeError as error:  # its message names the key, never a value
        raise ConfigError(f"radkeep.toml: {error}") from error
    check(config)
    return config


def check(config: Config) -> None:
    """Refuse what the profile may not express.

    Raises:
        ConfigError: a demo that others could reach, or production with its key beside the data.
    """
    if config.profile == "demo" and not config.server.is_loopback():
        raise ConfigError("a demo listens on loopback addresses only")
    if config.profile == "production" and config.keys.provider == "file":
        raise ConfigError("key provider 'file' keeps the key beside the data: demo only")


def render(config: Config) -> str:
    """Return ``config`` as the text of a new ``radkeep.toml``; unset values are left out."""
    lines = ["# This machine's settings. For people, devices, zones: radkeep user, device, zone."]
    tables: dict[str, object] = msgspec.to_builtins(config)
    lines += [f"{key} = {_value(value)}" for key, value in tables.items() if _is_scalar(value)]
    for name, table in tables.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]"]
            rows = [(key, value) for key, value in table.items() if _is_scalar(value)]
            lines += [f"{key} = {_value(value)}" for key, value in rows]
    return "\n".join(lines) + "\n"


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int)


def _value(value: object) -> str:
    """Return ``value`` in TOML: as in JSON, but that DEL must be escaped."""
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007F")
