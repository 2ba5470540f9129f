# SPDX-License-Identifier: Apache-2.0
"""A new clinic for each test."""

import pytest

from radkeep.testing.clinic import Clinic


@pytest.fixture
def clinic() -> Clinic:
    return Clinic()
