# SPDX-License-Identifier: Apache-2.0
"""2,000 aborts on a real server; `make torture` has the 100,000."""

import sys
from pathlib import Path

import pytest
from tests.crash.conftest import tmp_path

from radkeep.testing.server import serving

sys.path.insert(0, str(Path(__file__).parents[1] / "torture"))

from abort_storm import MOST_GROWTH, clinic, endured
from torture_clinic import verified

__all__ = ["tmp_path"]


@pytest.mark.timeout(120)
def test_aborts_cost_nothing_that_lasts(tmp_path: Path) -> None:
    installation = clinic(tmp_path)
    with serving(installation) as server:
        before, after = endured(server, 2_000, warm_up=1_000)
        assert sum(after.values()) < sum(before.values()) * (1 + MOST_GROWTH), (before, after)
        assert after["dimse"] < before["dimse"] * (1 + MOST_GROWTH), (before, after)
    assert verified(installation) == ""
