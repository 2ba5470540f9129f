# SPDX-License-Identifier: Apache-2.0
"""What command groups share: the data directory, the passphrase file, and how answers print.

Invariant: with ``--json`` a command prints one JSON value on stdout and nothing else.
"""

import functools
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from radkeep.app.layout import Layout
from radkeep.app.prompt import ask
from radkeep.cli.client import Api, connected
from radkeep.cli.text import shown

_UNBOUNDED: Final = 10_000  # columns of a table that no terminal shows: one row is one line
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z")


@dataclass(frozen=True, slots=True)
class Context:
    """What every command is told."""

    layout: Layout
    passphrase_file: str | None
    as_json: bool

    @contextmanager
    def api(self) -> Iterator[Api]:
        """Give the JSON API of the data directory."""
        with connected(self.layout, self.passphrase_file) as api:
            yield api

    def show(self, value: object, *, columns: Sequence[str] = ()) -> None:
        """Print ``value``: as JSON, as a table of ``columns``, or as it is."""
        if self.as_json:
            print(msgspec.json.encode(value).decode())
        elif columns and isinstance(value, list):
            _print_table(value, columns)
        elif isinstance(value, dict):
            for key, entry in value.items():
                print(f"{key}: {_cell(entry)}")
        else:
            print(value)


def common(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--data``, ``--passphrase-file`` and ``--json`` to a command."""

    @click.option("--data", metavar="DIR", help="Data directory [env: RADKEEP_DATA].")
    @click.option(
        "--passphrase-file",
        metavar="FILE",
        envvar="RADKEEP_PASSPHRASE_FILE",
        help="File that holds the passphrase of the root key.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
    @functools.wraps(command)
    def wrapped(
        *args: Any,  # noqa: ANN401 - click passes what the command declares
        data: str | None,
        passphrase_file: str | None,
        as_json: bool,
        **options: Any,  # noqa: ANN401
    ) -> None:
        command(Context(Layout.at(data), passphrase_file, as_json), *args, **options)

    return wrapped


def progress(message: str) -> None:
    """Tell a person what goes on; stderr, so that stdout stays for answers."""
    print(message, file=sys.stderr, flush=True)


def ask_new() -> str:
    """Return a new passphrase that a person types twice, unseen.

    Raises:
        ConfigError: no terminal is there.
    """
    while True:
        first = ask("New passphrase: ")
        if first == ask("Again: "):
            return first
        progress("They differ.")


def _print_table(rows: Sequence[dict[str, object]], columns: Sequence[str]) -> None:
    """Print ``rows`` so that nothing is cut: in a terminal, what is too wide is folded."""
    if not rows:
        progress("none")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        whole = column in {"index", "time", "count"}
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    width = shutil.get_terminal_size((_UNBOUNDED, 0)).columns
    Console(markup=False, emoji=False, highlight=False, width=width).print(table)


def _cell(value: object) -> str:
    """Return ``value`` for a person: times to the second, in UTC."""
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "" if value is None else shown(str(value))
    moment = _MOMENT.fullmatch(text)
    return f"{moment[1]} {moment[2]}Z" if moment else text
