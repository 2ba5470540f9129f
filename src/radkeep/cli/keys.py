# SPDX-License-Identifier: Apache-2.0
"""``radkeep keys``: what opens the root key.

Invariant: no secret stands on a command line, where every user of the machine could read it.
"""

import click

from radkeep.app.passphrase import change_passphrase, recover_passphrase
from radkeep.app.prompt import read_secret
from radkeep.cli.options import Context, ask_new, common


@click.group()
def keys() -> None:
    """The root key."""


@keys.command()
@click.option(
    "--new-passphrase-file", metavar="FILE", help="File that holds the new passphrase; else asked."
)
@click.option(
    "--recovery-key-file",
    metavar="FILE",
    help="Open by the recovery key that init printed. --passphrase-file is then the new one.",
)
@common
def passphrase(
    context: Context, *, new_passphrase_file: str | None, recovery_key_file: str | None
) -> None:
    """Set another passphrase; needs the old one or the recovery key, and a stopped server.

    The recovery key stays as it is. Copies of keyring/root.json from before, in backups for
    example, still open with the old passphrase.
    """
    old = context.passphrase_file
    source = new_passphrase_file if recovery_key_file is None else new_passphrase_file or old

    def new() -> str:
        return ask_new() if source is None else read_secret(source, "new passphrase")

    if recovery_key_file is None:
        change_passphrase(context.layout, new, old_file=old)
    else:
        key = read_secret(recovery_key_file, "recovery key")
        recover_passphrase(context.layout, new, recovery_key=key)
    context.show({"passphrase": "changed"} if context.as_json else "The passphrase is changed.")


COMMANDS = (keys,)
