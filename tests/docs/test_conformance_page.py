# SPDX-License-Identifier: Apache-2.0
"""docs/conformance.md says what the code negotiates and answers."""

import importlib.util

from tests.docs.pages import ROOT


def test_the_conformance_statement_is_up_to_date() -> None:
    source = ROOT / "tools" / "make_conformance.py"
    spec = importlib.util.spec_from_file_location("make_conformance", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(), "run: make docs"
