# SPDX-License-Identifier: Apache-2.0
"""Pages to HTML.

Invariant: every value is escaped, a variable that a template misspells is an error, and a page can
show nothing but the fields of its own value.
"""

from dataclasses import fields
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from radkeep.web.kit.headers import NO_STORE
from radkeep.web.portal.pages.frame import Page


def environment() -> Environment:
    """Return the one way in which templates are loaded."""
    return Environment(
        loader=PackageLoader("radkeep.web.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


_ENVIRONMENT: Final = environment()  # read-only after start; compiled templates are cached in it


def render(page: Page, status: int = 200) -> HTMLResponse:
    """Return ``page`` as a response that no cache keeps."""
    template = _ENVIRONMENT.get_template(f"pages/{page.template}")
    html = template.render({field.name: getattr(page, field.name) for field in fields(page)})
    return HTMLResponse(html, status, headers={"Cache-Control": NO_STORE})
