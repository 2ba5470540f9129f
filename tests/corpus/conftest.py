# SPDX-License-Identifier: Apache-2.0
"""An installation per worker, and copies of it: each batch of real files gets an empty store."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from corpus_files import Real, batches, read_corpus
from corpus_find import World, served
from corpus_house import House, founded


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return an installation without a single instance."""
    with founded(tmp_path_factory.mktemp("corpus")) as house:
        yield house


@pytest.fixture(scope="session")
def reals(corpus: Sequence[Path]) -> Sequence[Real]:
    """Return every file of the corpus."""
    return read_corpus(corpus)


@pytest.fixture(scope="session")
def storable(reals: Sequence[Real]) -> Sequence[Sequence[Real]]:
    """Return the storable files in batches that hold no SOP Instance UID twice."""
    return batches([real for real in reals if real.storable])


@pytest.fixture(scope="session")
def world(
    storable: Sequence[Sequence[Real]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Serve every storable file whose SOP Instance UID comes first to C-FIND."""
    with served(storable, tmp_path_factory.mktemp("find")) as world:
        yield world
