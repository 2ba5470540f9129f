# SPDX-License-Identifier: Apache-2.0
"""A real server for the hostile: the house of the real files, in a worker of its own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "corpus"))
sys.path.insert(0, str(Path(__file__).parents[1] / "wire"))

from corpus_house import House, founded


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return an installation without a single instance."""
    with founded(tmp_path_factory.mktemp("hostile")) as house:
        yield house
