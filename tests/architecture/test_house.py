# SPDX-License-Identifier: Apache-2.0
"""The shape of the house: sizes, licences, docstrings, and nothing of any one machine."""

import ast
import re
import statistics
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "src").rglob("*.py"))
SMALL = 100  # lines: up to here a docstring may say enough without an invariant
CODE = {".py", ".sql", ".css", ".js", ".mjs", ".html", ".toml", ".sh"}


def lines(path: Path) -> int:
    return path.read_text().count("\n")


def tracked() -> list[Path]:
    """Return every file that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def test_no_module_is_over_400_lines_and_the_median_is_under_200() -> None:
    sizes = {path.relative_to(ROOT): lines(path) for path in MODULES}
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:10]
    print(*(f"{size:4} {path}" for path, size in largest), sep="\n")
    assert largest[0][1] <= 400
    assert statistics.median(size for size in sizes.values() if size > 3) < 200


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_its_licence_and_a_large_one_its_invariant(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n")
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring
    assert "Invariant" in docstring or lines(path) <= SMALL


def test_every_code_file_says_its_licence() -> None:
    silent = [
        path.relative_to(ROOT)
        for path in tracked()
        if path.suffix in CODE
        and path.name != "pyproject.toml"
        and ROOT / "tests" / "fixtures" not in path.parents
        and "SPDX-License-Identifier" not in path.read_text()[:400]
    ]
    assert silent == []


def test_no_file_holds_a_registry_address_or_a_path_of_one_machine() -> None:
    address = re.compile(rb"(?:pythonhosted|pypi)\.org|registry\.npm" + rb"js|deb\.debian\.org")
    machine = re.compile(rb"(?<![\w.])/(?:work|root|home/\w+)/")
    binary = {".png", ".dcm", ".gz", ".db"}
    found = [
        path.relative_to(ROOT)
        for path in tracked()
        if path.suffix not in binary
        and path.name != Path(__file__).name
        and (address.search(path.read_bytes()) or machine.search(path.read_bytes()))
    ]
    assert found == []


def test_the_lists_of_packages_are_hashed() -> None:
    for part in ("run", "dev"):
        text = (ROOT / "requirements" / f"{part}.txt").read_text()
        packages = re.findall(r"^[a-z0-9].*$", text, re.MULTILINE)
        assert packages
        assert all("==" in package and package.endswith("\\") for package in packages)
        assert text.count("--hash=sha256:") >= len(packages)
