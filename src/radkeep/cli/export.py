# SPDX-License-Identifier: Apache-2.0
"""``radkeep export``: the original bytes of one study as DICOM files.

Invariant: files are numbered by us; no name on disk comes from a data set.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from radkeep.cli.client import Api
from radkeep.cli.options import Context, common
from radkeep.domain.errors import AlreadyExistsError, NotFoundError
from radkeep.domain.uid import Uid


@click.command("export")
@click.argument("study_uid")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@common
def export(context: Context, study_uid: str, folder: Path) -> None:
    """Write the instances of one study into a new or empty folder."""
    study = Uid.parse(study_uid)
    if folder.exists() and any(folder.iterdir()):
        raise AlreadyExistsError("the folder is not empty")
    with context.api() as api:
        addresses = list(_addresses(api, study))
        if not addresses:
            raise NotFoundError("no such study")
        folder.mkdir(parents=True, exist_ok=True)
        for number, address in enumerate(addresses, 1):
            _write(folder / f"{number:06}.dcm", api, address)
    count = len(addresses)
    context.show({"instances": count} if context.as_json else f"{count} instances exported")


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
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for piece in api.download(address, "application/dicom"):
            file.write(piece)


COMMANDS = (export,)
