# SPDX-License-Identifier: Apache-2.0
"""``radkeep delete`` and ``radkeep deletion``.

Invariant: nothing is destroyed here; each deletion has a number by which it is undone.
"""

import click

from radkeep.cli.options import Context, common

_COLUMNS = (
    "id",
    "deleted",
    "deleted_by",
    "study",
    "series",
    "instance",
    "instances",
    "reason",
    "undone",
    "undone_by",
)


@click.command("delete", short_help="Hide a study, a series or an instance; it can be undone.")
@click.argument("study", metavar="STUDY_UID")
@click.option("--series", default="", metavar="UID", help="Only this series.")
@click.option("--instance", default="", metavar="UID", help="Only this instance.")
@click.option("--reason", default="", help="Why; no patient data, the audit log keeps it.")
@common
def delete(context: Context, *, study: str, series: str, instance: str, reason: str) -> None:
    """Hide a study, or of it a series or an instance, until the deletion is undone."""
    body = {"study": study, "series": series, "instance": instance, "reason": reason}
    with context.api() as api:
        made = api.call("POST", "/deletions", body)
    context.show(made)


@click.group()
def deletion() -> None:
    """What was deleted."""


@deletion.command("list")
@click.option("--before", type=click.IntRange(min=1), metavar="ID", help="Only earlier ones.")
@click.option("--limit", type=click.IntRange(1, 500), default=100, show_default=True)
@common
def list_deletions(context: Context, *, before: int | None, limit: int) -> None:
    """List deletions, the latest first."""
    query = f"?limit={limit}" + (f"&before={before}" if before else "")
    with context.api() as api:
        found = api.call("GET", f"/deletions{query}")
    context.show(found, columns=_COLUMNS)


@deletion.command("undo")
@click.argument("number", type=click.IntRange(min=1), metavar="ID")
@common
def undo(context: Context, *, number: int) -> None:
    """Show again what a deletion hid."""
    with context.api() as api:
        made = api.call("POST", f"/deletions/{number}/undo")
    context.show(made)


COMMANDS = (delete, deletion)
