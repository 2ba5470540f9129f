# SPDX-License-Identifier: Apache-2.0
"""Words of other rooms as people read them on a page.

Invariant: nothing is lost or added but case, stops and blanks.
"""

from collections.abc import Iterable


def sentence(message: str) -> str:
    """Return an error's ``message`` with a capital and a full stop."""
    text = message[:1].upper() + message[1:]
    return text if text.endswith(".") else f"{text}."


def role_names(roles: Iterable[str]) -> str:
    """Return ``roles`` as a list for a reader."""
    return ", ".join(sorted(role.replace("-", " ") for role in roles))
