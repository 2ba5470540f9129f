# SPDX-License-Identifier: Apache-2.0
"""The supervisor's zygote: its doors outlive it, and one that never comes up is told at once."""

import os
import signal
import sys
import time
from contextlib import closing

import pytest

from radkeep.app.sandboxes import sandboxing
from radkeep.dicom.looks import Look
from radkeep.domain.errors import DamagedPixelsError, UnavailableError
from radkeep.sandbox.client import Sandbox
from radkeep.sandbox.decoder import SandboxDecoder
from radkeep.sandbox.wire import held


def test_a_zygote_that_never_comes_up_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with sandboxing() as sandboxes:
        early = sandboxes.channel("web")
        assert not sandboxes.heard()
        for end in (early, sandboxes.channel("dimse")):
            with closing(Sandbox(end)) as sandbox:
                began = time.monotonic()
                with pytest.raises(UnavailableError):
                    sandbox.run("page", None, [], room=1, compartment="a")
                assert time.monotonic() - began < 5


def test_doors_outlive_a_zygote() -> None:
    with sandboxing() as sandboxes, closing(Sandbox(sandboxes.channel("web"))) as sandbox:
        decoder = SandboxDecoder(sandbox)
        assert sandboxes.heard()  # ready
        os.kill(sandboxes.process.pid, signal.SIGKILL)
        assert sandboxes.heard()  # gone, and started again
        with pytest.raises(DamagedPixelsError):  # by a worker that looked
            decoder.page(held(b"no document"), 1, Look(), "a")
