# SPDX-License-Identifier: Apache-2.0
"""Storage SOP Classes (PS3.4 Table B.5-1 and its retired part), from ``data/storage-classes.tsv``.

Invariant: only classes whose objects belong to a patient's study are listed.
"""

from functools import cache
from importlib.resources import files
from typing import Final

_STANDARD: Final = "1.2.840.10008."
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."  # below here the standard adds classes each year
_NOT_OF_A_PATIENT: Final = "1.2.840.10008.5.1.4.1.1.200."  # protocols, PS3.4 Table GG.3-1
_SHUTDOWN: Final = "1.2.276.0.7230010.3.4.1915765545.18030.917282194.0"  # DCMTK's: ends a server


@cache
def storage_classes() -> dict[str, str]:
    """Return the name of every Storage SOP Class by UID."""
    resource = files("radkeep.dicom").joinpath("data/storage-classes.tsv")
    rows = (line.split("\t") for line in resource.read_text(encoding="utf-8").splitlines())
    return {uid: name for uid, name, _ in rows}


def is_storage(uid: str) -> bool:
    """Tell whether objects of class ``uid`` may be stored.

    Besides the listed classes these are private ones, which modalities send with their series, and
    those that a later edition of the standard adds; the data set itself must name its study.
    """
    if uid in storage_classes():
        return True
    if uid.startswith(_STANDARD):
        return uid.startswith(_STORAGE) and not uid.startswith(_NOT_OF_A_PATIENT)
    return uid not in ("", _SHUTDOWN)
