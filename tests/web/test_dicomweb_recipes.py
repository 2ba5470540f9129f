# SPDX-License-Identifier: Apache-2.0
"""The recipes of docs/how-to/use-dicomweb.md, run as they are written."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from radkeep.identity.permissions import Scope

if TYPE_CHECKING:
    from tests.web.conftest import Served, Web

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "use-dicomweb.md"
UID = "1.2.826.0.1.3680043.8.498.9"
Make = Callable[..., bytes]


def test_the_recipes_do_what_they_say(
    served: "Served", web: "Web", make_file: Make, tmp_path: Path
) -> None:
    (tmp_path / "one.dcm").write_bytes(make_file())
    (tmp_path / "two.dcm").write_bytes(make_file(number=2))
    environment = {
        "PATH": os.environ["PATH"],
        "TOKEN": web.house.token(*(scope for scope in Scope if scope.startswith("dicomweb:"))),
        "WEB": served.url,
        "CA": str(served.authority),
        "STUDY": f"{UID}.1",
        "SERIES": f"{UID}.1.1",
        "INSTANCE": f"{UID}.1.1.1",
    }

    def run(script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "/problems/" not in done.stdout, done.stdout
        return done.stdout

    told = [run(block.split("```")[0]) for block in PAGE.read_text().split("```sh\n")[1:]]
    one, two, studies, series, file, metadata, frame, part, wado, deletion, described = told
    assert len(json.loads(one)["00081199"]["Value"]) == 1
    assert len(json.loads(two)["00081199"]["Value"]) == 2
    assert json.loads(studies)[0]["00201208"]["Value"] == [2]
    assert len(json.loads(series)) == 1
    assert len(json.loads(metadata)) == 2
    assert file == frame == part == wado == ""
    for name in ("got.dcm", "wado.dcm"):
        assert (tmp_path / name).read_bytes() == make_file()
    assert (tmp_path / "frame").read_bytes() == bytes(range(16))
    assert (tmp_path / "part").read_bytes() == bytes(range(16))
    assert json.loads(deletion)["undone"]
    assert json.loads(described)["openapi"] == "3.1.0"
