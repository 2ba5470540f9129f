# SPDX-License-Identifier: Apache-2.0
"""A data directory that is founded at once: a passphrase that costs nothing to check."""

from pathlib import Path

from radkeep.app.founding import Founded, found
from radkeep.app.layout import Layout
from radkeep.config import Config
from radkeep.crypto.providers.passphrase import Cost, PassphraseProvider

PASSPHRASE = "correct horse battery staple"
ADMINISTRATOR = "admin@clinic.example"
CHEAP = Cost(time=1, memory=64)


def founded(
    data: Path, *, administrator: str = ADMINISTRATOR, config: Config | None = None
) -> Founded:
    """Found a production data directory at ``data``."""
    layout = Layout(data)
    provider = PassphraseProvider(layout.keyring, PASSPHRASE, cost=CHEAP)
    return found(
        layout,
        Config(),
        provider,
        organization="Clinic",
        administrator=administrator,
    )
