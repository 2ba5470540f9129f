# SPDX-License-Identifier: Apache-2.0
"""``radkeep audit``: look at the log, and prove that nobody rewrote it."""

from pathlib import Path

import click

from radkeep.app.upkeep import verify_audit
from radkeep.cli import audit_words
from radkeep.cli.failures import EXIT
from radkeep.cli.options import Context, common, progress
from radkeep.domain.errors import Kind


@click.group()
def audit() -> None:
    """The audit log."""


@audit.command()
@click.option("--count", default=20, show_default=True, help="Entries, at most 1,000.")
@common
def tail(context: Context, *, count: int) -> None:
    """Show the last entries; the look itself is entered first.

    The table has words for codes; --json has every field of an entry.
    """
    with context.api() as api:
        entries = api.call("GET", f"/audit?count={count}")
    if context.as_json:
        context.show(entries)
    else:
        context.show([audit_words.row(entry) for entry in entries], columns=audit_words.COLUMNS)


@audit.command()
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A copy of audit.pub that was kept elsewhere.",
)
@common
def verify(context: Context, *, key: Path | None) -> None:
    """Recompute the Merkle tree from the stored entries; needs no secret and no server."""
    report = verify_audit(context.layout, key)
    if context.as_json:
        context.show(report)
    else:
        for fault in report.faults:
            progress(fault)
        context.show(f"{report.entries} entries, {'sound' if report.sound else 'NOT SOUND'}")
    if not report.sound:
        raise click.exceptions.Exit(EXIT[Kind.INTEGRITY])


COMMANDS = (audit,)
