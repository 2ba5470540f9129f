# SPDX-License-Identifier: Apache-2.0
"""The helpers of the torture, importable in importlib mode, and folders with short names."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "torture"))


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Give a folder whose name leaves room for the control socket: the system allows 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="rk-") as folder:
        yield Path(folder)
