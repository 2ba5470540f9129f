# SPDX-License-Identifier: Apache-2.0
"""Commands that the pages show are commands that exist, with options that exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.docs.pages import PAGES, ROOT, blocks, name, prose

from radkeep.cli.main import radkeep

INLINE = re.compile(r"`([^`]+)`")
HERE_DOCUMENT = re.compile(r"<<'(\w+)'\n.*?^\1$", re.MULTILINE | re.DOTALL)
ENDS = re.compile(r"[|&;()<>]+")


def calls(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of radkeep in a line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] | None = None
    for word in [*lexer, ";"]:
        if ENDS.fullmatch(word):
            if words is not None:
                redirected = word.startswith(">") and words and words[-1] == "2"
                yield words[:-1] if redirected else words
            words = None
        elif word == "radkeep" or word.endswith("/bin/radkeep"):
            words = []
        elif words is not None:
            words.append(word)


def shown(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every call in a page's blocks of shell and units."""
    for block in blocks(text, "sh"):
        whole = HERE_DOCUMENT.sub("", block).replace("\\\n", " ")
        for line in whole.splitlines():
            if "radkeep" in line:
                yield from calls(line)
    for block in blocks(text, "ini"):
        for line in re.findall(r"^ExecStart=(.+)$", block, re.MULTILINE):
            yield from calls(line)


def check(arguments: list[str], *, whole: bool) -> None:
    """Return only if ``arguments`` name a command and its options.

    With ``whole`` nothing required may be missing.
    """
    command: click.Command = radkeep
    context = click.Context(command, info_name="radkeep", **command.context_settings)
    rest = list(arguments)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        word = rest.pop(0)
        inner = command.get_command(context, word)
        assert inner is not None, f"no command {context.command_path} {word}"
        command, context = inner, click.Context(inner, info_name=word, parent=context)
    if isinstance(command, click.Group):
        return
    given, left, _ = command.make_parser(context).parse_args(rest)
    assert not left, f"too many arguments: {left}"
    if whole:
        for parameter in command.params:
            missing = parameter.value_is_missing(given.get(parameter.name or ""))
            assert not (parameter.required and missing), f"{parameter.name} is missing"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_parse(page: Path) -> None:
    text = page.read_text()
    for arguments in shown(text):
        if arguments:
            check(arguments, whole=True)
    for code in INLINE.findall(prose(text).replace("\n", " ")):
        if code.startswith("radkeep ") and "..." not in code:
            check(code.split()[1:], whole=False)


def test_the_commands_of_the_readme_are_targets() -> None:
    made = re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert made == ["demo", "test"]
    assert set(made) <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_targets_exist(page: Path) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"`make ([\w-]+)`|^make ([\w-]+)", page.read_text(), re.MULTILINE)
    assert {one or other for one, other in named} <= set(targets)
