# SPDX-License-Identifier: Apache-2.0
"""Text from outside on a terminal.

Invariant: nothing that is shown moves the cursor, changes a color or fails to be encoded.
"""

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def shown(text: str) -> str:
    """Return ``text`` with a replacement for each character that does not print."""
    return "".join(letter if letter.isprintable() else _REPLACEMENT for letter in text)
