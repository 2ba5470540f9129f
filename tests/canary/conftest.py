# SPDX-License-Identifier: Apache-2.0
"""An installation for the canary: the house of the real files, in a worker of its own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "corpus"))

from corpus_house import House, founded


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return an installation without a single instance."""
    with founded(tmp_path_factory.mktemp("canary")) as house:
        yield house
