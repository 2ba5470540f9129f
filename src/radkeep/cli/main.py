# SPDX-License-Identifier: Apache-2.0
"""The command line: parse, call, and map the error to an exit code.

Invariant: an error of ours prints one line on stderr, never a trace; only a bug shows one.
"""

import logging
import sys
from collections.abc import Sequence

import click

from radkeep.app.hardening import harden
from radkeep.app.logs import configure_logs
from radkeep.cli import (
    archive,
    audit,
    certificates,
    deletions,
    devices,
    export,
    keys,
    people,
    serving,
    tokens,
)
from radkeep.cli.failures import ProblemError, exit_code
from radkeep.domain.errors import RadkeepError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="radkeep")
def radkeep() -> None:
    """A PACS that defends itself."""


MODULES = (
    serving,
    archive,
    export,
    deletions,
    people,
    devices,
    certificates,
    tokens,
    keys,
    audit,
)
for module in MODULES:
    for command in module.COMMANDS:
        radkeep.add_command(command)


def main() -> None:
    """Run the command of this process and leave with its exit code."""
    harden(child=False)  # first: any command may open the keys
    configure_logs("command", level=logging.WARNING)  # stdout is for answers
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        # of click's Exit, or None
        code: int | None = radkeep(arguments, prog_name="radkeep", standalone_mode=False)
    except click.exceptions.Abort:
        return _failed("stopped", 1)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ProblemError as error:
        return _failed(f"radkeep: {error}", error.exit_code)
    except RadkeepError as error:
        return _failed(f"radkeep: {error}", exit_code(error))
    return code or 0


def _failed(line: str, code: int) -> int:
    print(line, file=sys.stderr)
    return code
