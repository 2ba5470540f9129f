# SPDX-License-Identifier: Apache-2.0
"""What a study or series says of itself, put together from its instances.

Invariant: each attribute has the value of the earliest arrival that gave one. A later instance may
fill what is empty; it never blanks or overwrites. So the outcome does not depend on the order in
which arrivals are entered, and a rebuild gives the same answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec

from radkeep.database.catalog.columns import MAX_INTEGER
from radkeep.dicom.facts import Facts
from radkeep.dicom.query import Level

Attribute = dict[str, Any]  # one attribute of the DICOM JSON model: vr, Value
Attributes = dict[str, Attribute]

_CHARSET: Final = "00080005"  # answers are UTF-8, whatever the instance was
_ATTRIBUTES: Final = msgspec.json.Decoder(Attributes)
_ORIGINS: Final = msgspec.json.Decoder(dict[str, list[str]])
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def arrival_rank(received: str, sop_instance: str) -> str:
    """Return what puts arrivals in order: the time, and for equal times the UID."""
    return f"{received} {sop_instance}"


def decode(attributes: str | bytes) -> Attributes:
    """Return a stored DICOM JSON object."""
    return _ATTRIBUTES.decode(attributes)


def encode(attributes: Mapping[str, object]) -> str:
    """Return a DICOM JSON object with its attributes in order (PS3.18 Section F.2.2)."""
    return _ENCODER.encode(attributes).decode()


def with_values(attributes: Attributes) -> Attributes:
    """Return those of ``attributes`` that have a value; the character set is dropped."""
    return {
        tag: attribute
        for tag, attribute in attributes.items()
        if tag != _CHARSET and any(value not in (None, "", {}) for value in _values(attribute))
    }


def text_of(attributes: Attributes, tag: str) -> str:
    """Return the value of ``tag`` as a data set would hold it, "" when it is empty or absent."""
    return "\\".join(_text(value) for value in _values(attributes.get(tag, {})))


def name_groups(attributes: Attributes, tag: str) -> Iterator[str]:
    """Yield every component group of every name of ``tag`` (PS3.5 Section 6.2.1)."""
    for value in _values(attributes.get(tag, {})):
        if isinstance(value, dict):
            yield from value.values()


def integer_of(attributes: Attributes, tag: str) -> int | None:
    """Return the first value of ``tag`` when it is a whole number that SQL can hold."""
    values = _values(attributes.get(tag, {}))
    value = values[0] if values else None
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            return None
    return value if isinstance(value, int) and abs(value) <= MAX_INTEGER else None


def _values(attribute: Attribute) -> Sequence[Any]:
    values = attribute.get("Value", ())
    return values if isinstance(values, list) else ()


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        groups = [value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join(groups).rstrip("=")
    return str(value)


@dataclass(slots=True)
class Merged:
    """The attributes of one study or series, and which arrival gave each."""

    level: Level
    attributes: Attributes
    origins: dict[str, str]  # tag -> rank of the arrival that gave it

    @classmethod
    def empty(cls, level: Level) -> Self:
        """Return what is known before the first arrival."""
        return cls(level, {}, {})

    @classmethod
    def load(cls, level: Level, attributes: str, origins: str) -> Self:
        """Return what ``dump`` wrote."""
        ranks = _ORIGINS.decode(origins)
        return cls(
            level,
            _ATTRIBUTES.decode(attributes),
            {tag: rank for rank, tags in ranks.items() for tag in tags},
        )

    def dump(self) -> tuple[str, str]:
        """Return the attributes and their origins as JSON."""
        ranks: dict[str, list[str]] = {}
        for tag in sorted(self.origins):
            ranks.setdefault(self.origins[tag], []).append(tag)
        return encode(self.attributes), encode(ranks)

    def take(self, facts: Facts, rank: str) -> bool:
        """Enter what ``facts`` say and tell whether anything changed."""
        changed = False
        for tag, attribute in with_values(decode(facts.json(self.level))).items():
            known = self.origins.get(tag)
            if known is None or rank < known:
                changed = True
                self.attributes[tag] = attribute
                self.origins[tag] = rank
        return changed

    def latest(self) -> str:
        """Return the rank before which an arrival may change what is known already."""
        return max(self.origins.values(), default="")

    def text(self, tag: str) -> str:
        """Return the value of ``tag`` as text."""
        return text_of(self.attributes, tag)

    def integer(self, tag: str) -> int | None:
        """Return the first value of ``tag`` as a number."""
        return integer_of(self.attributes, tag)
