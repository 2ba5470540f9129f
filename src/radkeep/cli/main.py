# SPDX-License-Identifier: Apache-2.0
"""The command line: parse, call, and map the error to an exit code.

Invariant: an error of ours prints one line on stderr, never a trace; only a bug shows one.
"""

import sys

import click

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
    try:
        radkeep(standalone_mode=False)
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
