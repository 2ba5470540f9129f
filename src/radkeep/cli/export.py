# SPDX-License-Identifier: Apache-2.0
"""``radkeep export``: the original bytes of one study as DICOM files.

Invariant: files are numbered by us; no name on disk comes from a data set. A file that has its name
is whole.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from radkeep.cli.client import Api
from radkeep.cli.failures import EXIT, ProblemError
from radkeep.cli.options import Context, common, progress
from radkeep.domain.errors import (
    AlreadyExistsError,
    ArchiveFullError,
    InvalidRequestError,
    Kind,
    NotFoundError,
    UnavailableError,
)
from radkeep.domain.uid import Uid


@click.command("export")
@click.argument("study_uid")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@common
def export(context: Context, study_uid: str, folder: Path) -> None:
    """Write the instances of one study into a new or empty folder."""
    study = Uid.parse(study_uid)
    if folder.exists() and any(folder.iterdir()):
        raise AlreadyExistsError("the folder is not empty; name a new one")
    failed: list[dict[str, str]] = []
    with context.api() as api:
        addresses = list(_addresses(api, study))
        if not addresses:
            raise NotFoundError("no such study")
        _make(folder)
        for number, address in enumerate(addresses, 1):
            try:
                _write(folder / f"{number:06}.dcm", api, address)
            except (ProblemError, UnavailableError) as error:
                failed.append({"instance": address.rpartition("/")[2], "reason": str(error)})
    _show(context, len(addresses) - len(failed), failed)


def _show(context: Context, count: int, failed: list[dict[str, str]]) -> None:
    if context.as_json:
        context.show({"instances": count, "failed": failed})
    else:
        for each in failed:
            progress(f"failed {each['instance']}: {each['reason']}")
        plural = "" if count == 1 else "s"
        context.show(
            f"{count} instance{plural} exported" + f", {len(failed)} failed" * bool(failed)
        )
    if failed:
        raise click.exceptions.Exit(EXIT[Kind.INTEGRITY])


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequestError(f"the folder cannot be made: {error.strerror}") from error


def _addresses(api: Api, study: Uid) -> Iterator[str]:
    """Yield the WADO-RS address of each instance, page by page."""
    offset, page = 0, 1000
    while True:
        query = f"/dicom-web/studies/{study}/instances?limit={page}&offset={offset}"
        rows = api.send("GET", query, None, {"Accept": "application/dicom+json"}) or []
        for row in rows:
            series, instance = (_uid(row, tag) for tag in ("0020000E", "00080018"))
            yield f"/dicom-web/studies/{study}/series/{series}/instances/{instance}"
        if len(rows) < page:
            return
        offset += page


def _uid(row: Any, tag: str) -> Uid:  # noqa: ANN401 - JSON
    return Uid.parse(row[tag]["Value"][0])


def _write(path: Path, api: Api, address: str) -> None:
    part = path.with_suffix(".part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for piece in api.download(address, "application/dicom"):
                    file.write(piece)
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ArchiveFullError(f"a file cannot be written: {error.strerror}") from error


COMMANDS = (export,)
