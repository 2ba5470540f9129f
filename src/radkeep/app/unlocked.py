# SPDX-License-Identifier: Apache-2.0
"""An unlocked data directory: the root key, the keyring, and what each process gets of it.

Invariant: the root key and the keyring's writer stay in the process that holds the data
directory's lock; a door gets the keys of its own work and no other.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from radkeep.app.boot import DoorBoot
from radkeep.app.house import Foundation
from radkeep.app.keeper import Boot, open_log
from radkeep.app.layout import Layout
from radkeep.app.prompt import read_secret
from radkeep.archive.keylog import Entry
from radkeep.archive.keyring import (
    ORGANIZATION,
    ROOT,
    STUDY,
    Keyring,
    KeyringWriter,
    new_key,
)
from radkeep.audit.log import LogWriter
from radkeep.audit.ports import AuditLog
from radkeep.audit.reader import LogReader
from radkeep.config import Config, KeysConfig
from radkeep.crypto.ports import KeyProvider
from radkeep.crypto.providers.credential import CredentialProvider
from radkeep.crypto.providers.file import FileProvider
from radkeep.crypto.providers.passphrase import PassphraseProvider
from radkeep.crypto.sign import SigningKey, VerifyKey
from radkeep.domain.clock import SystemClock
from radkeep.domain.errors import IntegrityError, RadkeepError
from radkeep.identity.certificates import Authority

CATALOG: Final = "database:catalog"
REGISTRY: Final = "database:registry"
AUDIT_SIGNING: Final = "audit:signing"
AUDIT_PAYLOAD: Final = "audit:payload"
TLS_AUTHORITY: Final = "tls:ca"
TLS_WEB: Final = "tls:web"
TLS_DIMSE: Final = "tls:dimse"
INSTALLATION_LABELS: Final = (
    CATALOG,
    REGISTRY,
    AUDIT_SIGNING,
    AUDIT_PAYLOAD,
    TLS_AUTHORITY,
    TLS_WEB,
    TLS_DIMSE,
)
PASSPHRASE_VARIABLE: Final = "RADKEEP_PASSPHRASE_FILE"  # noqa: S105 - a name


def provider(
    layout: Layout, keys: KeysConfig, ask: Callable[[], str], *, passphrase_file: str | None
) -> KeyProvider:
    """Return where the root key of ``layout`` comes from.

    Args:
        layout: the data directory.
        keys: the configured provider.
        ask: prompts for the passphrase when no file holds it.
        passphrase_file: named on the command line, else in $RADKEEP_PASSPHRASE_FILE.

    Raises:
        ConfigError: the passphrase file cannot be read.
    """
    if keys.provider == "file":
        return FileProvider(layout.keyring)
    if keys.provider == "credential":
        return CredentialProvider(layout.keyring, os.environ)
    name = passphrase_file or os.environ.get(PASSPHRASE_VARIABLE)
    if not name:
        return PassphraseProvider(layout.keyring, ask())
    return PassphraseProvider(layout.keyring, read_secret(name, "passphrase"))


def mirror(layout: Layout, keys: KeysConfig) -> Path:
    """Return the folder of the keyring's second copy."""
    return layout.data / keys.mirror


def installation_key(keyring: Keyring, label: str) -> bytes:
    """Return the installation's key named ``label``.

    Raises:
        IntegrityError: the keyring lacks it.
    """
    key_id = keyring.find(label)
    if key_id is None:
        raise IntegrityError("the keyring lacks a key of the installation")
    return keyring.key(key_id)


def audit_reader(layout: Layout, keyring: Keyring) -> LogReader:
    """Return a reader of the audit log.

    Raises:
        IntegrityError: the keyring lacks the log's keys.
    """
    signing = SigningKey.from_bytes(installation_key(keyring, AUDIT_SIGNING))
    return LogReader(layout.audit, installation_key(keyring, AUDIT_PAYLOAD), signing.public)


class Unlocked:
    """The keys of one data directory, whose lock the caller holds."""

    def __init__(
        self, layout: Layout, config: Config, root: bytes, *, lock: int | None = None
    ) -> None:
        """Open the keyring for reading and for appending.

        ``lock`` is the descriptor of the directory's lock, for processes that are started.

        Raises:
            IntegrityError: the keyring is damaged, or ``root`` does not open it.
            UnavailableError: another process writes it.
        """
        self.layout: Final = layout
        self.config: Final = config
        self.lock: Final = lock
        folder, second = layout.keyring, mirror(layout, config.keys)
        self._writer = KeyringWriter(folder, second)
        self.keyring: Final = Keyring.open(folder, second, root)

    def secret(self, label: str) -> bytes:
        """Return the installation's key named ``label``.

        Raises:
            IntegrityError: the keyring lacks it.
        """
        return installation_key(self.keyring, label)

    def secret_or_new(self, label: str) -> bytes:
        """Return the installation's key named ``label``, made now if an older version had none.

        Raises:
            ArchiveFullError: no room.
        """
        if self.keyring.find(label) is None:
            root = (ROOT, self.keyring.key(ROOT))
            entry, _ = new_key(root, label=label, organization="", clock=SystemClock())
            self._writer.append([entry])
        return self.secret(label)

    def authority(self) -> bytes:
        """Return the certificate of the installation's authority, PEM."""
        return (self.layout.tls / "ca.pem").read_bytes()

    def audit_key(self) -> VerifyKey:
        """Return the public key of the audit log."""
        return SigningKey.from_bytes(self.secret(AUDIT_SIGNING)).public

    def organization_keys(self) -> dict[str, bytes]:
        """Return the key of each organization by its id in the keyring, hexadecimal."""
        found = {}
        for organization in self.keyring.organizations():
            key_id = self.keyring.find(ORGANIZATION, organization)
            if key_id is not None:
                found[key_id.hex()] = self.keyring.key(key_id)
        return found

    def registry_key(self) -> bytes:
        """Return the key of the registry's file."""
        return self.secret(REGISTRY)

    def add_organization(self, organization: str) -> None:
        """Make the key that wraps the study keys of a new organization.

        Raises:
            ArchiveFullError: no room.
        """
        root = (ROOT, self.keyring.key(ROOT))
        entry, _ = new_key(root, label=ORGANIZATION, organization=organization, clock=SystemClock())
        self._writer.append([entry])

    def append_study_keys(self, entries: Sequence[Entry]) -> None:
        """Append what a door asks for: study keys under an organization's key, nothing else.

        Raises:
            IntegrityError: another kind of key, or the disk failed.
            ArchiveFullError: no room.
        """
        known = self.organization_keys()
        for entry in entries:
            if entry.label != STUDY or entry.parent.hex() not in known:
                raise IntegrityError("a process may add study keys only")
        self._writer.append(entries)

    def append_soon(self, entries: Sequence[Entry]) -> "Future[None]":
        """Append at once; the shape that a key pool in this process wants."""
        done: Future[None] = Future()
        try:
            self.append_study_keys(entries)
        except RadkeepError as error:
            done.set_exception(error)
        else:
            done.set_result(None)
        return done

    def open_audit_log(self) -> LogWriter:
        """Open the audit log for writing; the keeper's task, or that of a lone command.

        Raises:
            IntegrityError: the log is damaged beyond a torn tail.
        """
        return open_log(self.keeper_boot(), "command")

    def foundation(
        self, audit: AuditLog, process: str, authority: Authority | None = None
    ) -> Foundation:
        """Return what a house in this very process stands on."""
        return Foundation(
            layout=self.layout,
            config=self.config,
            keyring=self.keyring,
            append_keys=self.append_soon,
            catalog_key=self.secret(CATALOG),
            registry_key=self.secret(REGISTRY),
            audit=audit,
            process=process,
            authority=authority,
        )

    def keeper_boot(self) -> Boot:
        """Return what the keeper is told."""
        return Boot(
            directory=str(self.layout.audit),
            signing_key=self.secret(AUDIT_SIGNING),
            payload_key=self.secret(AUDIT_PAYLOAD),
        )

    def door_boot(self) -> DoorBoot:
        """Return what every door is told; its own TLS key is still missing."""
        return DoorBoot(
            data=str(self.layout.data),
            config=self.config,
            keys=self.organization_keys(),
            catalog_key=self.secret(CATALOG),
            registry_key=self.secret(REGISTRY),
            authority=self.authority(),
        )

    def close(self) -> None:
        """Give up the keyring."""
        self._writer.close()
