# SPDX-License-Identifier: Apache-2.0
"""Storage SOP Classes (PS3.4 Table B.5-1 and its retired part), from ``data/storage-classes.tsv``.

Invariant: only classes whose objects belong to a patient's study are listed.
"""

from functools import cache
from importlib.resources import files


@cache
def storage_classes() -> dict[str, str]:
    """Return the name of every Storage SOP Class by UID."""
    resource = files("radkeep.dicom").joinpath("data/storage-classes.tsv")
    rows = (line.split("\t") for line in resource.read_text(encoding="utf-8").splitlines())
    return {uid: name for uid, name, _ in rows}


def is_storage(uid: str) -> bool:
    """Tell whether ``uid`` is a Storage SOP Class of the standard."""
    return uid in storage_classes()
