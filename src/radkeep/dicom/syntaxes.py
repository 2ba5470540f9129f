# SPDX-License-Identifier: Apache-2.0
"""Transfer syntaxes (PS3.6 Table A-1, PS3.5 Section 10), from ``data/syntaxes.tsv``.

Invariant: an unknown UID is read as explicit VR little endian with encapsulated pixel data, which
PS3.5 Section 10 demands of every syntax to come.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a data set is encoded."""

    uid: str
    name: str
    explicit: bool = True
    big: bool = False
    deflated: bool = False  # the whole data set
    encapsulated: bool = True  # Pixel Data may be a sequence of fragments

    @property
    def known(self) -> bool:
        """Tell whether PS3.6 lists the UID."""
        return self.name != ""


@cache
def all_syntaxes() -> dict[str, Syntax]:
    """Return every transfer syntax for files and messages, retired ones included, by UID."""
    text = files("radkeep.dicom").joinpath("data/syntaxes.tsv").read_text(encoding="utf-8")
    table = {}
    for line in text.splitlines():
        uid, traits, name = line.split("\t")
        table[uid] = Syntax(
            uid,
            name,
            explicit="explicit" in traits,
            big="big" in traits,
            deflated="deflated" in traits,
            encapsulated="encapsulated" in traits,
        )
    return table


def syntax(uid: str) -> Syntax:
    """Return what is known of the transfer syntax ``uid``."""
    return all_syntaxes().get(uid) or Syntax(uid, "")
