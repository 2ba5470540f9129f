# SPDX-License-Identifier: Apache-2.0
"""The tutorial works as written: its blocks are run in order, in one shell, on ports of our own."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

TUTORIAL = ROOT / "docs" / "tutorial.md"
RUN = re.compile(r"^<!-- run -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


@pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK is not installed")
def test_the_tutorial_works_as_written(tmp_path: Path) -> None:
    script = "".join(RUN.findall(TUTORIAL.read_text()))
    assert script.count("radkeep ") > 10
    web, dimse = free_ports(2)
    assert "8443" in script
    assert "11112" in script
    script = script.replace("8443", str(web)).replace("11112", str(dimse))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RADKEEP_")}
    kept["PATH"] = f"{Path(sys.executable).parent}:{kept['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}",
        cwd=tmp_path,
        env=kept,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    log = tmp_path / "log"
    assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")
    assert "Status: 0x0000 - Success" in done.stdout + done.stderr
    for said in (
        "2 stored, 0 rejected",
        f"{STUDY} CT CompressedSamples^CT1",
        "1 instance exported",
        "000001.dcm",
        "sound",
        "records in the catalog",
    ):
        assert said in done.stdout, said
