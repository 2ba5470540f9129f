# SPDX-License-Identifier: Apache-2.0
"""An empty catalog on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from radkeep.database.catalog.catalog import Catalog


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog.open(tmp_path / "catalog.db", bytes(range(32)))
    yield opened
    opened.close()
