# SPDX-License-Identifier: Apache-2.0
"""The command line: parse, call, and map the error to an exit code.

Invariant: an error of ours prints one line on stderr, never a trace; only a bug shows one.
"""

import logging
import sys

import click

from radkeep.app.logs import configure_logs
from radkeep.cli import archive, audit, devices, export, people, serving, tokens
from radkeep.cli.failures import ProblemError, exit_code
from radkeep.domain.errors import RadkeepError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="radkeep")
def radkeep() -> None:
    """A PACS that defends itself."""


for module in (serving, archive, export, people, devices, tokens, audit):
    for command in module.COMMANDS:
        radkeep.add_command(command)


def main() -> None:
    """Run one command and leave with its exit code."""
    configure_logs("command", level=logging.WARNING)  # stdout is for answers
    try:
        code = radkeep(standalone_mode=False)  # of click.exceptions.Exit, or None
    except click.exceptions.Abort:
        sys.exit("stopped")
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ProblemError as error:
        print(f"radkeep: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except RadkeepError as error:
        print(f"radkeep: {error}", file=sys.stderr)
        sys.exit(exit_code(error))
    sys.exit(code or 0)
