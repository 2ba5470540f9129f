# SPDX-License-Identifier: Apache-2.0
"""Founding a data directory: keys, private CA, databases, first organization, first link.

Invariant: nothing that exists is overwritten; a founding that fails leaves nothing behind, and one
that is cut short no directory that looks founded: ``radkeep.toml`` is written last.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

import msgspec

from radkeep.app.audit_client import DirectLog
from radkeep.app.audit_key import AUDIT_KEY_FILE, audit_key_text
from radkeep.app.house import House
from radkeep.app.layout import PRIVATE, Layout, locked
from radkeep.app.unlocked import (
    AUDIT_SIGNING,
    INSTALLATION_LABELS,
    TLS_AUTHORITY,
    Unlocked,
    mirror,
)
from radkeep.archive.keyring import ROOT, KeyringWriter, new_key
from radkeep.config import FILE_NAME, Config, check, render
from radkeep.crypto.certificates import fingerprint, new_authority
from radkeep.crypto.ports import KeyProvider
from radkeep.crypto.providers.rootfile import FILE_NAME as ROOT_FILE
from radkeep.crypto.providers.rootfile import add_recovery_key, write_private
from radkeep.crypto.sign import SigningKey
from radkeep.domain.clock import SystemClock
from radkeep.domain.errors import AlreadyExistsError, ConfigError
from radkeep.identity.actors import local
from radkeep.identity.enrolment import Link
from radkeep.identity.founding import Founded as Begun

CA_FILE: Final = "ca.pem"


class Founded(msgspec.Struct, frozen=True, kw_only=True):
    """What the founder must know; ``radkeep init --json`` prints it."""

    data: str
    organization: str
    admin: str
    enrolment: dict[str, str]  # url, token, expires
    ca: dict[str, str]  # path, sha256
    recovery_key: str  # opens the root key when the passphrase is lost; shown once


def found(
    layout: Layout,
    config: Config,
    keys: KeyProvider,
    *,
    organization: str,
    administrator: str = "",
) -> Founded:
    """Make everything a new data directory needs.

    Args:
        layout: where.
        config: what becomes ``radkeep.toml``; its profile makes a demo of it, for good.
        keys: makes the root key.
        organization: the name of the first one.
        administrator: an e-mail address; "" in a demo, which has people of its own.

    Raises:
        AlreadyExistsError: the directory is founded already, or holds something else.
        ConfigError: an unsafe configuration, an unfit passphrase, or no place for a directory.
        InvalidRequestError: not a name or e-mail address.
    """
    check(config)
    _make_place(layout)
    with locked(layout), _all_or_nothing(layout):
        mirror(layout, config.keys).mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        root = keys.create()
        recovery = add_recovery_key(layout.keyring, root)
        _make_keys(layout, config, root)
        with closing(Unlocked(layout, config, root)) as unlocked:
            authority = _make_authority(unlocked)
            public = SigningKey.from_bytes(unlocked.secret(AUDIT_SIGNING)).public
            write_private(layout.data / AUDIT_KEY_FILE, audit_key_text(public).encode())
            begun = _begin(unlocked, organization, administrator)
        write_private(layout.data / FILE_NAME, render(config).encode())
    return Founded(
        data=str(layout.data),
        organization=begun.organization.name,
        admin=begun.administrator.email if begun.administrator else "",
        enrolment=enrolment_link(config, begun.enrolment) if begun.enrolment else {},
        ca=authority,
        recovery_key=recovery,
    )


def _make_place(layout: Layout) -> None:
    try:
        if (layout.data / FILE_NAME).exists():
            raise AlreadyExistsError("this data directory exists already; run: radkeep serve")
        if layout.content():
            raise AlreadyExistsError("this folder is not empty; name a new one")
        layout.create()
    except OSError as error:
        raise ConfigError(f"the data directory cannot be made: {error.strerror}") from error


@contextmanager
def _all_or_nothing(layout: Layout) -> Iterator[None]:
    if (layout.keyring / ROOT_FILE).exists():  # founded while this waited for the lock
        raise AlreadyExistsError("this data directory exists already")
    try:
        yield
    except BaseException:
        layout.clear()
        raise


def enrolment_link(config: Config, link: Link) -> dict[str, str]:
    """Return what a person needs to enrol: address, token, end."""
    server = config.server
    return {
        "url": f"https://{server.hostname}:{server.web_port}/enrol?token={link.token}",
        "token": link.token,
        "expires": link.expires.isoformat(timespec="seconds"),
    }


def _make_keys(layout: Layout, config: Config, root: bytes) -> None:
    """Append the installation's own keys; organizations get theirs when they are made."""
    clock = SystemClock()
    entries = [
        new_key((ROOT, root), label=label, organization="", clock=clock)[0]
        for label in INSTALLATION_LABELS
    ]
    with closing(KeyringWriter(layout.keyring, mirror(layout, config.keys))) as writer:
        writer.append(entries)


def _make_authority(unlocked: Unlocked) -> dict[str, str]:
    authority = new_authority(
        unlocked.secret(TLS_AUTHORITY),
        [unlocked.config.server.hostname],
        now=SystemClock().now(),
    )
    path = unlocked.layout.tls / CA_FILE
    write_private(path, authority.certificate)
    return {"path": str(path), "sha256": fingerprint(authority.certificate).hex()}


def _begin(unlocked: Unlocked, organization: str, administrator: str) -> Begun:
    """Make databases, audit log, the organization with its key, and the first people."""
    with closing(unlocked.open_audit_log()) as log:
        house = House(unlocked.foundation(DirectLog(log, "init"), "init"))
        try:
            begun = house.people.founding.found(
                local(os.getuid()),
                organization,
                administrator=administrator,
                demo=unlocked.config.profile == "demo",
            )
            unlocked.add_organization(begun.organization.id)
        finally:
            house.close()
    return begun
