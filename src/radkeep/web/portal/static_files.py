# SPDX-License-Identifier: Apache-2.0
"""The portal's own style sheet and icon.

Invariant: the files are read once, at start; a name from the wire is only looked up.
"""

import hashlib
from importlib.resources import files
from typing import Final

from starlette.responses import Response

from radkeep.domain.errors import NotFoundError
from radkeep.web.kit.requests import Incoming

_TYPES: Final = {"portal.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
_FILES: Final = {
    name: (files("radkeep.web.portal") / "static" / name).read_bytes() for name in _TYPES
}
_TAGS: Final = {name: f'"{hashlib.sha256(data).hexdigest()[:32]}"' for name, data in _FILES.items()}


def static_file(request: Incoming) -> Response:
    """Answer with a file, or 304 when the browser has it (RFC 9110 Section 13.1.2).

    Raises:
        NotFoundError: no such file.
    """
    name = request.path_params["name"]
    if name not in _FILES:
        raise NotFoundError("no such file")
    headers = {"ETag": _TAGS[name], "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == _TAGS[name]:
        return Response(status_code=304, headers=headers)
    return Response(_FILES[name], media_type=_TYPES[name], headers=headers)
