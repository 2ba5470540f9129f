# SPDX-License-Identifier: Apache-2.0
"""The viewer's addresses."""

from collections.abc import Sequence
from pathlib import Path

import structlog

from radkeep.identity.permissions import Permission
from radkeep.web.kit.routes import Access, GuardedRoute, Surface
from radkeep.web.viewer.serving import Viewer
from radkeep.web.viewer.tree import Tree, ViewerAbsentError, default_directory


def open_viewer(directory: str = "") -> Viewer:
    """Return the viewer in ``directory``, by default where ``make viewer`` puts it.

    Without a whole tree there the server works, and the viewer's pages say what to do.
    """
    try:
        return Viewer(tree=Tree.open(Path(directory) if directory else default_directory()))
    except ViewerAbsentError as error:
        structlog.get_logger().warning("viewer.absent", reason=str(error))
        return Viewer(tree=None, absence=str(error))


def viewer_routes(surface: Surface, viewer: Viewer) -> Sequence[GuardedRoute]:
    """Return the routes below ``/viewer/``, on a surface that shows problems as pages."""
    read = Permission.STUDY_READ
    pages = [
        surface.route("/viewer/app-config.js", viewer.config, needs=read),
        surface.route("/viewer", viewer.page, needs=read),
        surface.route("/viewer/{path:path}", viewer.page, needs=read),
    ]
    if viewer.tree is None:
        return pages
    # The build's own name stands before the pages, which answer to any path.
    files = f"/viewer/{viewer.tree.build}/{{name:path}}"
    # The files are no secret. But they are megabytes, and each answer holds its file until it is
    # read: strangers who read slowly would take all memory; of people at work each has a share.
    return [surface.route(files, viewer.asset, needs=Access.SIGNED_IN), *pages]
