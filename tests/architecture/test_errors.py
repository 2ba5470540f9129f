# SPDX-License-Identifier: Apache-2.0
"""Every deliberate error has a word at every edge."""

import importlib
import pkgutil
from collections.abc import Iterator
from http import HTTPStatus

import pytest

import radkeep
from radkeep.cli.failures import EXIT, exit_code
from radkeep.dicom.status import store_status
from radkeep.domain.errors import Kind, RadkeepError
from radkeep.web.kit.explanations import EXPLANATIONS
from radkeep.web.kit.problems import problem, unexpected

for module in pkgutil.walk_packages(radkeep.__path__, "radkeep."):
    if module.name != "radkeep.app.process":
        importlib.import_module(module.name)


def every(cls: type[RadkeepError]) -> Iterator[type[RadkeepError]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from every(sub)


ERRORS = sorted(
    {error for error in every(RadkeepError) if error.__module__.startswith("radkeep.")},
    key=lambda error: error.__name__,
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_has_a_word_at_every_edge(error: type[RadkeepError]) -> None:
    raised = error.__new__(error)
    RadkeepError.__init__(raised, "x")
    assert 0x0110 <= store_status(raised) <= 0xCFFF
    assert problem(raised).status in set(HTTPStatus)
    assert exit_code(raised) > 0


def test_codes_are_unique() -> None:
    codes = [error.code for error in ERRORS]
    assert len(codes) == len(set(codes))


def test_every_code_is_explained_once_and_no_other() -> None:
    codes = {error.code for error in ERRORS} | {unexpected(ValueError()).code}
    assert set(EXPLANATIONS) == codes
    for each in EXPLANATIONS.values():
        assert each.title
        assert each.what.endswith(".")
        assert each.advice.endswith(".")


def test_exit_codes_are_total() -> None:
    assert set(EXIT) == set(Kind)
    assert all(EXIT.values())
