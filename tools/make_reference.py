#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/reference.md from the code: commands, addresses, settings, errors, permissions.

Invariant: every line of the page comes from what the program itself goes by, so that the page
cannot say something else; tests/docs compares the two. Run by ``make docs``.
"""

import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from typing_extensions import override

import radkeep
from radkeep.app.layout import DEFAULT, VARIABLE, Layout
from radkeep.app.unlocked import PASSPHRASE_VARIABLE
from radkeep.audit.events import Action, EventId, EventType, Outcome
from radkeep.cli.failures import EXIT, exit_code
from radkeep.cli.main import radkeep as commands
from radkeep.config import Config
from radkeep.crypto.providers.credential import CREDENTIAL
from radkeep.crypto.providers.credential import VARIABLE as CREDENTIALS
from radkeep.dicom.status import store_status
from radkeep.domain import limits
from radkeep.domain.errors import RadkeepError
from radkeep.identity.devices import TrueReason
from radkeep.identity.permissions import (
    Permission,
    Scope,
    Service,
    permissions_of_scopes,
    permissions_of_services,
)
from radkeep.identity.roles import FOUNDER, ROLES
from radkeep.web.api.routes import api_routes
from radkeep.web.application import health_routes
from radkeep.web.dicomweb.routes import dicomweb_routes
from radkeep.web.kit.explanations import EXPLANATIONS
from radkeep.web.kit.problems import problem
from radkeep.web.kit.routes import GuardedRoute, Surface
from radkeep.web.portal.routes import portal_routes
from radkeep.web.viewer.routes import viewer_routes

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "reference.md"
WIDTH: Final = 96  # columns of a command's help
PARAGRAPH: Final = 140  # columns of the page
_COMMENT: Final = re.compile(
    r"^ *(?P<name>\w+)(?: *:.*?)? += .*?  # (?P<comment>.+)$", re.MULTILINE
)


class _Nobody:
    """Stands in for use cases: routes are listed here and never answered."""

    def __getattr__(self, name: str) -> "_Nobody":
        return _Nobody()

    def __call__(self, *_: object, **__: object) -> "_Nobody":
        return _Nobody()

    @override
    def __str__(self) -> str:
        return "{build}"


def page() -> str:
    """Return the text of docs/reference.md."""
    parts = (
        _head(),
        _commands(),
        _environment(),
        _exit_codes(),
        _addresses(),
        _settings(),
        _errors(),
        _admission(),
        _permissions(),
        _audit(),
        _limits(),
        _directory(),
    )
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _head() -> str:
    return "# Reference\n\n" + _paragraph(
        "Made from the code by `make docs`; do not edit it here. What the commands are for is in",
        "the [tutorial](tutorial.md) and the [how-to pages](how-to/), why a peer or an object is",
        "refused in [refusals](refusals.md), files on disk in [formats](formats/).",
    )


def _commands() -> str:
    lines = [
        "## Commands",
        "",
        "With `--json` a command prints one JSON value on stdout. Messages go to stderr.",
        "",
    ]
    for path, command, context in _leaves(commands, "radkeep", None):
        lines += [f"### {path}", "", "```text", _help(command, context), "```", ""]
    return "\n".join(lines)


def _leaves(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=WIDTH, **command.context_settings
    )
    if isinstance(command, click.Group):
        for each, inner in command.commands.items():
            yield from _leaves(inner, each, context)
    else:
        yield context.command_path, command, context


def _help(command: click.Command, context: click.Context) -> str:
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def _environment() -> str:
    rows = [
        (
            f"`{VARIABLE}`",
            f"data directory when `--data` is not given; without either, `./{DEFAULT}`",
        ),
        (
            f"`{PASSPHRASE_VARIABLE}`",
            "file that holds the passphrase when `--passphrase-file` is not given; else a prompt",
        ),
        (
            f"`{CREDENTIALS}`",
            f"set by systemd; key provider `credential` reads `{CREDENTIAL}` there",
        ),
    ]
    return "## Environment\n\n" + _table(("variable", "meaning"), rows)


def _exit_codes() -> str:
    kinds: dict[int, list[str]] = {}
    for kind, code in EXIT.items():
        kinds.setdefault(code, []).append(kind.name.lower().replace("_", " "))
    rows = [("0", "success, and nothing else")]
    rows += [(str(code), ", ".join(words)) for code, words in sorted(kinds.items())]
    rows.append(("2", "the command line itself is wrong"))
    return "## Exit codes\n\n" + _table(
        ("code", "meaning"), sorted(rows, key=lambda row: int(row[0]))
    )


def _addresses() -> str:
    groups = {
        "DICOMweb": _routes(
            lambda kit: dicomweb_routes(
                _surface(kit), store=kit, search=kit, fetch=kit, deletions=kit
            )
        ),
        "JSON API": _routes(lambda kit: api_routes(kit, kit)),
        "Portal": _routes(lambda kit: portal_routes(kit, kit, kit)),
        "Viewer": _routes(lambda kit: viewer_routes(_surface(kit), kit)),
        "Health": _routes(lambda kit: health_routes(_surface(kit), kit)),
    }
    lines = [
        "## Addresses",
        "",
        _paragraph(
            "Below `https://HOST:PORT`, and without TLS on the control socket `run/control.sock`,",
            "where the operating-system user at the other end (the server's own, or root) is the",
            "operator and may do everything. Elsewhere a bearer token or a session cookie decides.",
            "*Signed in* asks for nothing but a session; *public* says why that is safe.",
        ),
        "",
    ]
    for name, routes in groups.items():
        rows = [
            (
                ", ".join(sorted(_methods(route))),
                f"`{route.path.replace(':path', '')}`",
                _needs(route),
            )
            for route in routes
        ]
        lines += [f"### {name}", "", _table(("methods", "address", "needs"), rows)]
    return "\n".join(lines)


def _routes(make: Callable[[Any], Iterable[GuardedRoute]]) -> Sequence[GuardedRoute]:
    return list(make(_Nobody()))


def _surface(kit: Any) -> Surface:  # noqa: ANN401 - a stand-in
    return Surface(kit=kit)


def _methods(route: GuardedRoute) -> set[str]:
    return set(route.methods or ()) - {"HEAD"}


def _needs(route: GuardedRoute) -> str:
    if isinstance(route.needs, Permission):
        return f"`{route.needs}`"
    word = route.needs.name.lower().replace("_", " ")
    return f"*{word}*: {route.why}" if route.why else f"*{word}*"


def _settings() -> str:
    lines = [
        "## Settings",
        "",
        _paragraph(
            "`radkeep.toml` in the data directory. An unknown key or a wrong value refuses to",
            "start. Flags of `radkeep serve` hold for one run.",
        ),
        "",
        _table(("key", "type", "default", "remark"), _keys(Config, "")),
    ]
    return "\n".join(lines)


def _keys(struct: type[msgspec.Struct], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    remarks = {m["name"]: m["comment"] for m in _COMMENT.finditer(inspect.getsource(struct))}
    for field in msgspec.structs.fields(struct):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _keys(field.type, f"{prefix}{field.name}.")
        else:
            default = (
                "not set"
                if field.default is None
                else f"`{msgspec.json.encode(field.default).decode()}`"
            )
            yield f"`{prefix}{field.name}`", _type(field.type), default, remarks.get(field.name, "")


def _type(annotation: object) -> str:
    match msgspec.inspect.type_info(annotation):
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(
                _named(each) for each in types if not isinstance(each, msgspec.inspect.NoneType)
            )
        case info:
            return _named(info)


def _named(info: msgspec.inspect.Type) -> str:
    match info:
        case msgspec.inspect.LiteralType(values=values):
            return " or ".join(f"`{value}`" for value in values)
        case msgspec.inspect.IntType(ge=low, le=high):
            bounds = "".join(
                (f", at least {low:,}" if low else "", f", at most {high:,}" if high else "")
            )
            return f"integer{bounds}"
        case msgspec.inspect.StrType(pattern=pattern):
            return f"string like `{pattern}`".replace("|", "\\|") if pattern else "string"
        case _:
            raise TypeError(f"no word for {info}")


def _errors() -> str:
    rows = []
    for error in sorted(_every_error(), key=lambda each: each.code):
        raised = error.__new__(error)
        RadkeepError.__init__(raised, "")
        first = (
            (error.__doc__ or "")
            .partition("\n")[0]
            .partition(". ")[0]
            .rstrip(".")
            .replace("``", "`")
        )
        rows.append(
            (
                f"`{error.code}`",
                EXPLANATIONS[error.code].title,
                str(int(problem(raised).status)),
                f"0x{store_status(raised):04X}",
                str(exit_code(raised)),
                first,
            )
        )
    lines = [
        "## Errors",
        "",
        _paragraph(
            "HTTP answers are `application/problem+json` (RFC 9457). The `type` is",
            "`/problems/CODE`, a page of the server that says what happened and what to do next.",
            "The C-STORE status is the STOW-RS Failure Reason, too.",
        ),
        "",
        _table(("code", "page", "HTTP", "C-STORE", "exit", "meaning"), rows),
    ]
    return "\n".join(lines)


def _every_error() -> set[type[RadkeepError]]:
    for module in pkgutil.walk_packages(radkeep.__path__, "radkeep."):
        if module.name not in ("radkeep.app.process", "radkeep.__main__"):
            importlib.import_module(module.name)
    found: set[type[RadkeepError]] = set()
    waiting = [RadkeepError]
    while waiting:
        below = waiting.pop().__subclasses__()
        found.update(error for error in below if error.__module__.startswith("radkeep."))
        waiting += below
    return found


def _admission() -> str:
    lines = [
        "## Why a device is refused",
        "",
        _paragraph(
            "A peer without a verified certificate always hears A-ASSOCIATE-RJ 1/1/3. The true",
            "reason stands in the audit log and in `radkeep device list --pending`:",
        ),
        "",
        *(f"- {reason}" for reason in TrueReason),
    ]
    return "\n".join(lines)


def _permissions() -> str:
    roles = list(ROLES)
    rows = [
        (f"`{permission}`", *("yes" if permission in ROLES[role] else "" for role in roles))
        for permission in Permission
        if any(permission in ROLES[role] for role in roles)
    ]
    founder = ", ".join(sorted(FOUNDER))
    lines = [
        "## Roles and permissions",
        "",
        _paragraph(
            f"The first person of an installation is {founder}.",
            "The host's operator (`local:UID`) may do everything.",
        ),
        "",
        _table(("permission", *roles), rows),
        "## Services of devices",
        "",
        _paragraph(
            "C-ECHO is open to every registered device. Services whose door is not there yet can",
            "be granted already; see [status](status.md).",
        ),
        "",
        _table(
            ("service", "permissions"),
            [(f"`{each}`", _codes(permissions_of_services([each]))) for each in Service],
        ),
        "## Scopes of tokens",
        "",
        _table(
            ("scope", "permissions"),
            [(f"`{each}`", _codes(permissions_of_scopes([each]))) for each in Scope],
        ),
    ]
    return "\n".join(lines)


def _codes(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in sorted(values))


def _audit() -> str:
    lines = [
        "## Audit events",
        "",
        _paragraph(
            "Codes of DCM (PS3.15 Section A.5.3, PS3.16 CID 400 and 401), and words of our own",
            "where DCM has none.",
        ),
        "",
    ]
    for title, values in (
        ("event", EventId),
        ("type", EventType),
        ("action", Action),
        ("outcome", Outcome),
    ):
        rows = [
            (f"`{each.value}`", each.name.lower().replace("_", " "))
            for each in values
            if each.value != "" and _used(f"{values.__name__}.{each.name}")
        ]
        lines += [_table((title, "meaning"), rows)]
    return "\n".join(lines)


def _limits() -> str:
    remarks = {
        m["name"]: m["comment"]
        for m in _COMMENT.finditer(inspect.getsource(limits).replace(": Final", ""))
    }
    rows = [
        (f"`{name}`", f"{value:,}", remarks.get(name, ""))
        for name, value in vars(limits).items()
        if name.isupper()
    ]
    return "## Limits\n\n" + _table(("name", "value", "of what"), rows)


def _directory() -> str:
    layout = Layout(Path("DATA"))
    rows = []
    for name, member in vars(Layout).items():
        if isinstance(member, property) and _used(f"layout.{name}"):
            path: Path = getattr(layout, name)
            text = inspect.getdoc(member) or ""
            rows.append((f"`{path}`", text.rstrip(".")))
    return "## Data directory\n\n" + _table(("path", "what lies there"), rows)


def _used(words: str) -> bool:
    """Tell whether any module says ``words``: what is only planned is left out of the page."""
    return re.search(rf"{re.escape(words)}\b", _source()) is not None


@cache
def _source() -> str:
    return "".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.py")))


def _paragraph(*lines: str) -> str:
    text = " ".join(lines)
    return textwrap.fill(text, PARAGRAPH, break_long_words=False, break_on_hyphens=False)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
