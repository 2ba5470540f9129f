# SPDX-License-Identifier: Apache-2.0
"""``radkeep import``, ``verify`` and ``rebuild``.

Invariant: an imported file goes the way of every other instance, through STOW-RS, so the same file
again is success and an import that was stopped is simply run again.
"""

import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from radkeep.app.upkeep import rebuild_catalog, verify_archive
from radkeep.cli.client import Api
from radkeep.cli.failures import EXIT, ProblemError
from radkeep.cli.options import Context, common, progress
from radkeep.cli.sources import Source, sources
from radkeep.domain.errors import Kind, RadkeepError, UnavailableError

_REASONS: Final = {  # PS3.18 Table I.2-2 and our own, see docs/refusals.md
    0x0110: "processing failure",
    0x0122: "SOP class not supported",
    0x0124: "not permitted",
    0xA700: "no room",
    0xA900: "the data set contradicts the request",
    0xC000: "not DICOM, or damaged",
    0xC001: "a UID is missing or illegal",
    0xC010: "other content has this SOP Instance UID; this file is in quarantine",
    0xC011: "it was deleted; undo that to have it back",
}
_FAILED: Final = ("00081198", "0008119A")  # Failed SOP Sequence, Other Failures Sequence
_SAID_IN_BODY: Final = (400, 409, 413, 415)


class Imported(msgspec.Struct, kw_only=True):
    """What an import did."""

    stored: int = 0
    rejected: list[dict[str, str]] = []


@click.command("import", short_help="Import folders, DICOM files and zip archives.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@common
def import_(context: Context, paths: Sequence[Path]) -> None:
    """Import folders, DICOM files and zip archives; run it again to go on where it stopped."""
    outcome = Imported()
    found = sources(paths)
    with context.api() as api:
        for source in found:
            reason = _send(api, source)
            if reason is None:
                outcome.stored += 1
            else:
                outcome.rejected.append({"file": source.name, "reason": reason})
            count = outcome.stored + len(outcome.rejected)
            if not context.as_json and count % 100 == 0:
                progress(f"{count} files, {len(outcome.rejected)} rejected")
    if context.as_json:
        context.show(outcome)
    else:
        for entry in outcome.rejected:
            progress(f"rejected {entry['file']}: {entry['reason']}")
        context.show(f"{outcome.stored} stored, {len(outcome.rejected)} rejected")
    if outcome.rejected:
        raise click.exceptions.Exit(EXIT[Kind.INVALID])


def _send(api: Api, source: Source) -> str | None:
    """Store one file; return why it was rejected, or None.

    Raises:
        UnavailableError: the server went away; what was imported stays, and comes again as success.
    """
    boundary = secrets.token_hex(16)
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
    try:
        answer = api.send(
            "POST",
            "/dicom-web/studies",
            _body(source, boundary.encode()),
            headers,
            accepted=_SAID_IN_BODY,
        )
    except UnavailableError:
        raise  # it would not take the next one, either
    except (ProblemError, RadkeepError) as error:
        return str(error)
    return _reason(answer)


async def _body(source: Source, boundary: bytes) -> AsyncIterator[bytes]:
    yield b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n"
    for piece in source.pieces():
        yield piece
    yield b"\r\n--" + boundary + b"--\r\n"


def _reason(answer: Any) -> str | None:  # noqa: ANN401 - JSON
    """Return the failure that a STOW-RS answer (PS3.18 Table 10.5.3-1) tells of, or None."""
    if isinstance(answer, dict) and "status" in answer:  # a problem document
        return str(answer.get("detail") or answer.get("title"))
    told = answer or {}
    failed = [each for tag in _FAILED for each in told.get(tag, {}).get("Value", [])]
    if not failed:
        return None
    code = int(failed[0].get("00081197", {}).get("Value", [0x0110])[0])
    return _REASONS.get(code, _REASONS.get(code & 0xF000, "refused")) + f" (0x{code:04X})"


@click.command("verify", short_help="Check volumes and keyring for damage.")
@click.option("--full", is_flag=True, help="Read every byte and compare every digest.")
@common
def verify(context: Context, *, full: bool) -> None:
    """Check volumes and keyring; exit 0 only when nothing is damaged."""
    report = verify_archive(context.layout, context.passphrase_file, full=full)
    if context.as_json:
        context.show(report)
    else:
        for finding in report.findings:
            progress(finding)
        context.show(f"{report.damaged} places damaged" if report.damaged else "sound")
    if report.damaged:
        raise click.exceptions.Exit(EXIT[Kind.INTEGRITY])


@click.command("rebuild", short_help="Make the catalog again from the volumes.")
@common
def rebuild(context: Context) -> None:
    """Delete the catalog and make it again from the volumes; the server must be stopped."""
    count = rebuild_catalog(context.layout, context.passphrase_file)
    context.show({"records": count} if context.as_json else f"{count} records in the catalog")


COMMANDS = (import_, verify, rebuild)
