# SPDX-License-Identifier: Apache-2.0
"""Putting the root key under another passphrase.

Invariant: the root key stays the same, so nothing is encrypted anew; at every moment either the
old or the new passphrase opens it, and the recovery key always does.
"""

import os
from collections.abc import Callable
from contextlib import closing
from typing import Final

from radkeep.app.audit_client import DirectLog
from radkeep.app.layout import Layout, locked
from radkeep.app.prompt import ask
from radkeep.app.unlocked import Unlocked, provider
from radkeep.audit.events import Action, EventType
from radkeep.config import Config, load
from radkeep.crypto.providers.passphrase import NAME, PassphraseProvider
from radkeep.crypto.providers.rootfile import recover
from radkeep.domain.clock import SystemClock
from radkeep.domain.errors import ConfigError
from radkeep.identity.actors import local
from radkeep.identity.deeds import Deeds
from radkeep.identity.policy import Policy

DEED: Final = "keys.passphrase"


def change_passphrase(layout: Layout, new: Callable[[], str], *, old_file: str | None) -> None:
    """Replace the passphrase, given the old one: in ``old_file``, or asked for.

    ``new`` is called once the old one has opened the root key.

    Raises:
        ConfigError: a server runs, the root key is under no passphrase, or the new one is unfit.
        WrongPassphraseError: the old passphrase does not open the root key.
        AuditUnavailableError: the change cannot be audited, so nothing was changed.
    """
    config = _config(layout)
    with locked(layout):
        layout.require_whole()
        root = provider(layout, config.keys, ask, passphrase_file=old_file).unlock()
        _rewrap(layout, config, root, new(), opened_by="passphrase")


def recover_passphrase(layout: Layout, new: Callable[[], str], *, recovery_key: str) -> None:
    """Replace the passphrase, given the recovery key that ``radkeep init`` printed.

    ``new`` is called once the recovery key has opened the root key.

    Raises:
        ConfigError: a server runs, the root key is under no passphrase, or the new one is unfit.
        WrongPassphraseError: it is not the recovery key of this data directory.
        AuditUnavailableError: the change cannot be audited, so nothing was changed.
    """
    config = _config(layout)
    with locked(layout):
        layout.require_whole()
        root = recover(layout.keyring, recovery_key)
        _rewrap(layout, config, root, new(), opened_by="recovery key")


def _config(layout: Layout) -> Config:
    config = load(layout.data)
    if config.keys.provider != NAME:
        raise ConfigError(
            f"the root key is kept by key provider '{config.keys.provider}', not by a passphrase"
        )
    return config


def _rewrap(layout: Layout, config: Config, root: bytes, new: str, *, opened_by: str) -> None:
    with (
        closing(Unlocked(layout, config, root)) as unlocked,
        closing(unlocked.open_audit_log()) as log,
    ):
        deeds = Deeds(policy=Policy(), audit=DirectLog(log, "command"), clock=SystemClock())
        with deeds.change(
            local(os.getuid()),
            DEED,
            kind=EventType.SECURITY_CONFIGURATION,
            action=Action.UPDATE,
            organization="",
            detail={"opened-by": opened_by},
        ):
            PassphraseProvider(layout.keyring, new).rewrap(root)
