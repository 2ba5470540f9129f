# SPDX-License-Identifier: Apache-2.0
"""C-FIND over the real files finds what a matcher of the tests' own finds, in ten charsets."""

import itertools
import random  # noqa: TID251 - the same queries each time
from collections.abc import Mapping

import pydicom
import pytest
from corpus_files import quiet
from corpus_find import (
    ITEM_KEYS,
    PATIENT_KEYS,
    PATIENT_ROOT,
    World,
    accepts,
    encoded,
    fits,
    narrowed,
    queries,
)
from pydicom.dataset import Dataset

QUERIES = 1_000


def test_found_is_what_matches(world: World) -> None:
    dice = random.Random(14)
    asked_in: dict[str, int] = {}
    hits = 0
    for number, (level, wanted) in enumerate(itertools.islice(queries(world), QUERIES)):
        expected = sorted(
            uid
            for uid, entity in world.entities[level].items()
            if all(accepts(key, text, entity.get(key, [])) for key, text in wanted.items())
        )
        with quiet(), pydicom.config.disable_value_validation():
            said = encoded(wanted, dice)
            assert said is not None
            found = world.find(level, said[1])
        assert found == expected, (number, level, wanted)
        hits += bool(found)
        asked_in[said[0]] = asked_in.get(said[0], 0) + 1
    assert hits > QUERIES / 2
    assert len(asked_in) >= 10


def patients(world: World, wanted: Mapping[str, str]) -> list[str]:
    """Return the IDs of the patients of whom some study fits."""
    found: dict[tuple[str, ...], str] = {}
    for study in world.entities["STUDY"].values():
        if all(accepts(key, text, study.get(key, [])) for key, text in wanted.items()):
            name, birth = ("".join(study.get(key, [])) for key in PATIENT_KEYS[::2])
            identifier = "".join(study.get("PatientID", []))
            who = (identifier,) if identifier else ("", name, birth)
            found.setdefault(who, identifier)
    return sorted(found.values())


def test_patients_are_those_of_the_studies_that_match(world: World) -> None:
    dice = random.Random(5)
    hits = 0
    for number in range(150):
        wanted = {}
        for key in dice.sample(PATIENT_KEYS, dice.choice((1, 1, 2))):
            known = {v for e in world.entities["STUDY"].values() for v in e.get(key, [])}
            wanted[key] = narrowed(key, sorted(v for v in known if fits(key, v)), dice)
        wanted = {key: text for key, text in wanted.items() if text.strip("*")}
        with quiet(), pydicom.config.disable_value_validation():
            said = encoded(wanted, dice)
            assert said is not None
            found = world.find("PATIENT", said[1], PATIENT_ROOT)
        assert found == patients(world, wanted), (number, wanted)
        hits += bool(found)
    assert hits > 75


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
def test_what_asks_for_nothing_finds_all(world: World, level: str) -> None:
    everything = sorted(world.entities[level])
    for text in ("", "*"):
        asked = Dataset()
        for key in ("PatientName", "PatientID", "StudyDescription"):
            setattr(asked, key, text)
        asked.StudyDate = asked.StudyTime = ""
        assert world.find(level, asked) == everything
    assert world.find("PATIENT", Dataset(), PATIENT_ROOT) == patients(world, {})


def test_date_and_time_as_one(world: World) -> None:
    dice = random.Random(6)
    studies = world.entities["STUDY"]
    moments = sorted(
        (study["StudyDate"][0], study["StudyTime"][0][:6])
        for study in studies.values()
        if fits("StudyDate", study.get("StudyDate", ["x"])[0])
        and fits("StudyTime", study.get("StudyTime", ["x"])[0][:6])
    )
    hits = 0
    for number in range(100):
        low, high = sorted((dice.choice(moments), dice.choice(moments)))
        asked = Dataset()
        asked.StudyDate, asked.StudyTime = f"{low[0]}-{high[0]}", f"{low[1]}-{high[1]}"
        expected = sorted(
            uid
            for uid, study in studies.items()
            if (day := "".join(study.get("StudyDate", [])))
            and low <= (day, time := "".join(study.get("StudyTime", [])))
            and (day, time[: len(high[1])]) <= high
        )
        assert world.find("STUDY", asked, moments=True) == expected, (number, low, high)
        hits += bool(expected)
    assert hits > 50


def test_one_item_of_a_sequence_has_to_match(world: World) -> None:
    dice = random.Random(7)
    hits = 0
    for number in range(150):
        sequence = dice.choice(sorted(ITEM_KEYS))
        known = [item for one in world.items.values() for item in one.get(sequence, []) if item]
        keys = {key: value for key, (value, *_) in dice.choice(known).items() if fits(key, value)}
        other = dice.choice(known)
        wanted = Dataset()
        texts = {}
        for key, value in keys.items():
            cut = dice.randrange(len(value))
            again = other.get(key, [value])[0]
            texts[key] = dice.choice((value, f"{value[:cut]}*", value[:cut] + "*", again, ""))
            with quiet(), pydicom.config.disable_value_validation():
                setattr(wanted, key, texts[key])
        asked = Dataset()
        setattr(asked, sequence, [wanted])
        narrowing = {key: text for key, text in texts.items() if text.strip("*")}
        expected = sorted(
            uid
            for uid, sequences in world.items.items()
            if not narrowing
            or any(
                all(accepts(key, text, item.get(key, [])) for key, text in narrowing.items())
                for item in sequences.get(sequence, [])
            )
        )
        assert world.find("SERIES", asked) == expected, (number, sequence, texts)
        hits += 0 < len(expected) < len(world.items)
    assert hits > 75
