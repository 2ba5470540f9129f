# SPDX-License-Identifier: Apache-2.0
"""Secrets from outside: what a person types, what a file holds.

Invariant: a command that runs without a terminal never waits for one; it says what to give instead.
"""

import getpass
import sys
from pathlib import Path

from radkeep.domain.errors import ConfigError


def ask(prompt: str = "Passphrase: ") -> str:
    """Return what a person types, unseen.

    Raises:
        ConfigError: no terminal is there.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigError("no passphrase: name its file by --passphrase-file")
    return getpass.getpass(prompt)


def read_secret(path: str, name: str) -> str:
    """Return the secret called ``name`` that the file at ``path`` holds, without its line's end.

    Raises:
        ConfigError: it cannot be read, or is no text.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the {name} file cannot be read") from error
    return text.rstrip("\r\n")
