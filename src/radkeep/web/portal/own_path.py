# SPDX-License-Identifier: Apache-2.0
r"""Where to go after signing in: a path of this server, whatever the wire says.

Invariant: what ``own_path`` returns stays on this origin in every browser (URL Standard Section
4.4: browsers drop tabs and line ends, read ``\`` as ``/``, and ``//`` starts another host).
"""

import re
from typing import Final
from urllib.parse import quote

HOME: Final = "/"  # leads each person to what they may see
_MAX: Final = 2048  # characters; longer than any address of ours
_OWN: Final = re.compile(r"/(?:[A-Za-z0-9_.~%!$&'()*+,;=:@?-][A-Za-z0-9_.~%!$&'()*+,;=:@?/-]*)?")
_NEVER: Final = ("/sign-in", "/sign-out", "/unlock", "/enrol", "/demo")  # would go in circles


def own_path(raw: str) -> str:
    """Return ``raw`` if it is a path of ours, else the home page."""
    if len(raw) > _MAX or not _OWN.fullmatch(raw) or raw.startswith(_NEVER):
        return HOME
    return raw


def with_next(page: str, raw: str) -> str:
    """Return the address of ``page`` that leads on to ``raw`` afterwards."""
    target = own_path(raw)
    return page if target == HOME else f"{page}?next={quote(target, safe='/')}"
