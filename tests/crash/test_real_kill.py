# SPDX-License-Identifier: Apache-2.0
"""A few rounds of `make torture`: kill -9 under load loses nothing that was acknowledged."""

from pathlib import Path

import kill_under_load
import pytest


@pytest.mark.timeout(300)
def test_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    totals = kill_under_load.run(3, seed=11, passphrase_every=1, folder=tmp_path)
    assert totals.doors == 1
    assert totals.acknowledged > 50
