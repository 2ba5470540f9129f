# SPDX-License-Identifier: Apache-2.0
"""The viewer's files over HTTP.

Invariant: a page of the viewer is given to signed-in people only; files below the build's name
never change, so browsers keep them; all else is asked for anew.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.domain.errors import NotFoundError
from radkeep.identity.permissions import Permission
from radkeep.web.kit.headers import NO_STORE
from radkeep.web.kit.requests import Incoming
from radkeep.web.viewer import policy
from radkeep.web.viewer.app_config import app_config
from radkeep.web.viewer.tree import INDEX, Asset, Tree, ViewerAbsentError, plain

HOME: Final = "/studies"  # the portal's list stands in for OHIF's
FOREVER: Final = "private, max-age=31536000, immutable"
_SCRIPTS: Final = frozenset({".js", ".wasm"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Serves one tree, or says why there is none."""

    tree: Tree | None
    absence: str = "the viewer is not installed; run: make viewer"

    def page(self, request: Incoming, _actor: Actor) -> Response:
        """Return the viewer's one page, whatever study its address names.

        Raises:
            ViewerAbsentError: the viewer is not installed.
        """
        tree = self._tree()
        if not request.path_params.get("path"):
            return Response(status_code=303, headers={"Location": HOME})
        return _file(request, tree.assets[INDEX], cache=NO_STORE, csp=policy.DOCUMENT)

    def asset(self, request: Incoming, _actor: Actor) -> Response:
        """Return one of the build's files.

        Raises:
            NotFoundError: no such file.
            ViewerAbsentError: the viewer is not installed.
        """
        name: str = request.path_params["name"]
        asset = self._tree().assets.get(name)
        if asset is None or name == INDEX:
            raise NotFoundError("no such file")
        # Which scripts are workers is the viewer's business; for all others this policy is inert.
        is_script = PurePosixPath(name).suffix in _SCRIPTS
        csp = policy.WORKER if is_script else policy.ASSET
        return _file(request, asset, cache=FOREVER, csp=csp)

    def config(self, _request: Incoming, actor: Actor) -> Response:
        """Return the configuration for ``actor``."""
        may_store = Permission.INSTANCE_STORE in actor.permissions
        script = app_config(may_store=may_store, demo=actor.demo)
        return Response(
            script,
            media_type="text/javascript",
            headers={"Cache-Control": NO_STORE, "Content-Security-Policy": policy.ASSET},
        )

    def _tree(self) -> Tree:
        if self.tree is None:
            raise ViewerAbsentError(self.absence)
        return self.tree


def _file(request: Incoming, asset: Asset, *, cache: str, csp: str) -> Response:
    headers = {
        "Cache-Control": cache,
        "Content-Security-Policy": csp,
        "ETag": f'"{asset.digest[:32]}"',
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if asset.is_packed and _takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.path.read_bytes(), media_type=asset.media_type, headers=headers)
    return Response(plain(asset), media_type=asset.media_type, headers=headers)


def _takes_gzip(request: Incoming) -> bool:
    codings = request.headers.get("accept-encoding", "").lower().split(",")
    return any(
        coding.partition(";")[0].strip() == "gzip" and "q=0" not in coding.replace("q=0.", "")
        for coding in codings
    )
