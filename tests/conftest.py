# SPDX-License-Identifier: Apache-2.0
"""Real files for tests: the shared corpus and samples when they are there, and a word when not."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from radkeep.app.sandboxes import sandboxing
from radkeep.sandbox.client import Sandbox
from radkeep.sandbox.decoder import SandboxDecoder

_BESIDE = Path(__file__).resolve().parents[2] / "shared"


def _folder(variable: str, name: str) -> Path:
    folder = Path(os.environ.get(variable, _BESIDE / name))
    if not folder.is_dir():
        pytest.skip(f"{name} is not here: set {variable} to a folder of DICOM files")
    return folder


@pytest.fixture(scope="session")
def corpus() -> Sequence[Path]:
    """Return every DICOM file of the corpus, in a stable order."""
    return sorted(_folder("RADKEEP_CORPUS", "corpus").rglob("*.dcm"))


@pytest.fixture(scope="session")
def samples() -> Path:
    """Return the folder that holds the real series ct-head and mr-t1."""
    return _folder("RADKEEP_SAMPLES", "samples")


@pytest.fixture(scope="session")
def decoder() -> Iterator[SandboxDecoder]:
    """Return a decoder over real workers."""
    with sandboxing() as sandboxes, closing(Sandbox(sandboxes.channel("test"))) as sandbox:
        yield SandboxDecoder(sandbox)
