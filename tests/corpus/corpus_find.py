# SPDX-License-Identifier: Apache-2.0
"""The real files behind a C-FIND door, and a matcher of the tests' own.

What there is to find comes from the files as pydicom reads them; what matches is decided here, by
PS3.4 Section C.2.2.2 and without our own matcher.
"""

import fnmatch
import io
import itertools
import random  # noqa: TID251 - the same queries each time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from corpus_files import Real, quiet
from pydicom.dataset import Dataset

from radkeep.database.catalog.catalog import Catalog
from radkeep.dicom.classes import is_storage
from radkeep.dicom.scanner import Scanner
from radkeep.dimse.ports import Rooms
from radkeep.dimse.scu.proposal import Proposal
from radkeep.dimse.scu.requestor import Requestor
from radkeep.dimse.server import DimseServer
from radkeep.dimse.wire.commands import CommandField
from radkeep.domain.clock import SystemClock
from radkeep.identity.permissions import EVERYTHING
from radkeep.identity.policy import Policy
from radkeep.retrieval.search import Search
from radkeep.testing.arrivals import arrival
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.dimse import FakeAdmission, FakeStore, LoopThread

PATIENT_ROOT, STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.2.1"
PENDING = 0xFF00
MISREAD = frozenset({"charsets/fo-dicom__chrGB2312.dcm"})  # by pydicom: escapes stay in its text
STUDY_KEYS = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "AccessionNumber", "StudyID", "StudyDescription", "ReferringPhysicianName",
    "StudyInstanceUID", "ModalitiesInStudy",
)  # fmt: skip
SERIES_KEYS = ("Modality", "SeriesNumber", "SeriesDescription", "BodyPartExamined",
               "SeriesDate", "SeriesTime", "ProtocolName", "SeriesInstanceUID")  # fmt: skip
INSTANCE_KEYS = ("InstanceNumber", "SOPClassUID", "SOPInstanceUID", "ContentDate", "ContentTime",
                 "Rows", "NumberOfFrames", "AcquisitionDateTime")  # fmt: skip
PATIENT_KEYS = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
ITEM_KEYS = {
    "RequestAttributesSequence": ("RequestedProcedureID", "ScheduledProcedureStepID"),
    "ProcedureCodeSequence": ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"),
    "PerformedProtocolCodeSequence": ("CodeValue", "CodingSchemeDesignator"),
}
UNIQUE = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
CHARSETS = (
    "ISO_IR 100", "ISO_IR 101", "ISO_IR 109", "ISO_IR 144", "ISO_IR 127", "ISO_IR 126",
    "ISO_IR 138", "ISO_IR 148", "ISO_IR 13", "ISO_IR 192", "GB18030", "GBK",
    "ISO 2022 IR 149", "ISO 2022 IR 87",
)  # fmt: skip
Entity = dict[str, list[str]]


@dataclass
class World:
    """What there is, by level, and a client."""

    entities: Mapping[str, Mapping[str, Entity]]  # level -> unique key -> values of all keys
    items: Mapping[str, Mapping[str, list[Entity]]]  # series -> sequence -> its items
    link: Requestor
    moments: Requestor  # on which date and time are one

    def find(
        self, level: str, asked: Dataset, model: str = STUDY_ROOT, *, moments: bool = False
    ) -> list[str]:
        """Return the unique keys that the server finds."""
        link = self.moments if moments else self.link
        asked.QueryRetrieveLevel = level
        if UNIQUE[level] not in asked:
            setattr(asked, UNIQUE[level], "")
        command = link.command(CommandField.C_FIND, model)
        link.send(link.context(model), command, [(dcmwrite(asked), True)])
        found = []
        while True:
            answer, data = link.receive()
            if answer.status != PENDING:
                assert answer.status == 0, hex(answer.status or 0)
                return sorted(found)
            one = pydicom.dcmread(io.BytesIO(data), force=True)
            found.append(str(one[UNIQUE[level]].value or ""))


@contextmanager
def served(storable: Sequence[Sequence[Real]], folder: Path) -> Iterator[World]:
    """Serve every storable file of the corpus whose SOP Instance UID comes first."""
    catalog = Catalog.open(folder / "catalog.db", bytes(32))
    reals = [real for real in storable[0] if real.name not in MISREAD]
    arrivals = []
    for real in reals:
        scanner = Scanner(None)
        scanner.feed(memoryview(real.content))
        arrivals.append(
            arrival(scanner.finish().facts, organization="org", offset=len(arrivals),
                    second=len(arrivals))
        )  # fmt: skip
    catalog.commit("a" * 32, 1, arrivals)
    finder = Search(catalog=catalog, policy=Policy(), audit=MemoryAuditLog(), clock=SystemClock())
    admission, store, loop = FakeAdmission(), FakeStore(), LoopThread()
    admission.permissions = EVERYTHING
    server = DimseServer(
        admission=admission, store=store, supports=is_storage, rooms=Rooms(finder=finder)
    )

    async def listen() -> int:
        await server.__aenter__()
        return await server.listen("127.0.0.1", 0)

    port = loop.run(listen())
    links = []
    for agreed in (b"\1", b"\1\1"):  # relational; with date and time as one
        proposal = Proposal(
            host="127.0.0.1",
            port=port,
            called="RADKEEP",
            calling="WS1",
            contexts=[(model, ["1.2.840.10008.1.2.1"]) for model in (PATIENT_ROOT, STUDY_ROOT)],
            extended=((STUDY_ROOT, agreed),),
        )
        links.append(Requestor(proposal))
        assert links[-1].user.extended == ((STUDY_ROOT, agreed),)
    yield World(gathered(reals), items_of(reals), *links)
    for link in links:
        link.release()
    loop.run(server.close())
    loop.close()
    store.close()
    catalog.close()


def dcmwrite(asked: Dataset) -> bytes:
    out = io.BytesIO()
    pydicom.dcmwrite(out, asked, little_endian=True, implicit_vr=False)
    return out.getvalue()


def gathered(reals: Sequence[Real]) -> dict[str, dict[str, Entity]]:
    """Return the entities as the files tell: of several values of one study the first counts."""
    studies: dict[str, Entity] = {}
    series: dict[str, Entity] = {}
    instances: dict[str, Entity] = {}
    modalities: dict[str, set[str]] = {}
    for real in reals:
        with quiet():
            read = pydicom.dcmread(io.BytesIO(real.content), force=True, stop_before_pixels=True)
            study = studies.setdefault(real.study, {})
            _add(study, read, STUDY_KEYS)
            one = series.setdefault(real.series, {})
            _add(one, read, SERIES_KEYS)
            one["of"] = [real.study]
            own: Entity = {}
            _add(own, read, INSTANCE_KEYS)
            own["of"] = [real.series]
            instances[real.sop_instance] = own
    for one in series.values():
        modalities.setdefault(one["of"][0], set()).update(one.get("Modality", []))
    for uid, study in studies.items():
        study["ModalitiesInStudy"] = sorted(modalities[uid])
    for one in series.values():
        one.update(studies[one["of"][0]])
    for one in instances.values():
        one.update(series[one["of"][0]])
    return {"STUDY": studies, "SERIES": series, "IMAGE": instances}


def items_of(reals: Sequence[Real]) -> dict[str, dict[str, list[Entity]]]:
    """Return the items of the sequences that can be searched; the first of a series count."""
    series: dict[str, dict[str, list[Entity]]] = {}
    for real in reals:
        with quiet():
            read = pydicom.dcmread(io.BytesIO(real.content), force=True, stop_before_pixels=True)
            known = series.setdefault(real.series, {})
            for sequence, keys in ITEM_KEYS.items():
                found: list[Entity] = []
                for item in read.get(sequence) or []:
                    found.append({})
                    _add(found[-1], item, keys)
                if found and not known.get(sequence):
                    known[sequence] = found
    return series


def _add(entity: Entity, read: Dataset, keys: Sequence[str]) -> None:
    for key in keys:
        if entity.get(key) or key not in read:
            continue
        value = read[key].value
        several = value if isinstance(value, (list, pydicom.multival.MultiValue)) else [value]
        texts = [str(one).strip(" \0") for one in several if one is not None]
        if any(texts):
            entity[key] = texts


def folded(name: str) -> str:
    apart = unicodedata.normalize("NFKD", name)
    plain = "".join(char for char in apart if not unicodedata.combining(char)).casefold()
    return " ".join(plain.split()).rstrip("^ ")


def wild(pattern: str, text: str) -> bool:
    """Match with * and ?, which mean in a shell what they mean in DICOM."""
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def accepts(key: str, wanted: str, values: Sequence[str]) -> bool:
    vr = pydicom.datadict.dictionary_VR(key)
    if vr == "UI":
        return any(value in wanted.split("\\") for value in values)
    if vr == "PN":
        groups = [folded(group) for value in values for group in value.split("=") if group]
        return any(wild(folded(wanted), group) for group in groups if group)
    if vr in ("DA", "TM", "DT") and "-" in wanted:
        low, _, high = wanted.partition("-")
        return any(
            value and (not low or value >= low) and (not high or value[: len(high)] <= high)
            for value in values
        )
    if vr in ("TM", "DT"):
        return any(value.startswith(wanted) and value >= wanted for value in values)
    if vr in ("IS", "US"):
        return any(value and float(value) == float(wanted) for value in values)
    return any(wild(wanted, value) for value in values)


def fits(key: str, value: str) -> bool:
    """Tell whether a value can be made a key: values against their VR cannot."""
    vr = pydicom.datadict.dictionary_VR(key)
    if any(mark in value for mark in "*?\\"):
        return False
    if vr == "DA":
        return len(value) == 8 and value.isdigit()
    if vr in ("TM", "DT"):
        return value.replace(".", "").isdigit() and len(value) % 2 == 0 and "." not in value
    if vr == "IS":
        return value.lstrip("+-").isdigit()
    return bool(value.strip("^= "))


def narrowed(key: str, values: Sequence[str], dice: random.Random) -> str:
    """Return a key text of some kind of matching that may or may not find ``value``."""
    vr = pydicom.datadict.dictionary_VR(key)
    value = dice.choice(values)
    if vr == "UI":
        return "\\".join(dice.sample(values, min(len(values), dice.choice((1, 1, 3)))))
    if vr in ("DA", "TM", "DT"):
        other = dice.choice(values)
        low, high = sorted((value, other))
        return dice.choice((value, f"{value}-", f"-{value}", f"{low}-{high}"))
    if vr in ("IS", "US"):
        return value
    if vr == "PN":
        value = dice.choice([group for group in value.split("=") if folded(group)] or ["x"])
        value = dice.choice((value, value.lower(), value.upper()))
        value = value if folded(value) else "x"
    cut = dice.randrange(len(value))
    return dice.choice(
        (value, f"{value[:cut]}*", f"*{value[cut:]}", f"{value[:cut]}?{value[cut + 1 :]}",
         f"{value[:cut]}*{value[cut + 1 :]}")
    )  # fmt: skip


def queries(world: World) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield levels and keys, each key of each level in turn."""
    dice = random.Random(4)
    of_level = {
        "STUDY": STUDY_KEYS,
        "SERIES": STUDY_KEYS + SERIES_KEYS,
        "IMAGE": STUDY_KEYS + SERIES_KEYS + INSTANCE_KEYS,
    }
    turns = itertools.cycle([(level, key) for level, keys in of_level.items() for key in keys])
    while True:
        level, key = next(turns)
        wanted = {}
        for one in dict.fromkeys((key, *dice.sample(of_level[level], dice.choice((0, 0, 1, 2))))):
            known = sorted(
                {v for e in world.entities[level].values() for v in e.get(one, []) if fits(one, v)}
            )
            if known:
                wanted[one] = narrowed(one, known, dice)
        if wanted and all(text.strip("*") for text in wanted.values()):
            yield level, wanted


def encoded(wanted: Mapping[str, str], dice: random.Random) -> tuple[str, Dataset] | None:
    """Return the identifier in some charset that can say it."""
    text = "".join(wanted.values())
    for name in dice.sample(CHARSETS, len(CHARSETS)):
        codec = pydicom.charset.python_encoding[name]
        try:
            if text.encode(codec).decode(codec) != text:
                continue
        except UnicodeError:
            continue
        names = f"\\{name}" if name.startswith("ISO 2022") else name
        asked = Dataset()
        asked.SpecificCharacterSet = names.split("\\")
        for key, value in wanted.items():
            vr = pydicom.datadict.dictionary_VR(key)
            setattr(asked, key, int(value) if vr == "US" else value)
        again = pydicom.dcmread(io.BytesIO(dcmwrite(asked)), force=True)
        if "?" in text or not any("?" in str(again[key].value) for key in wanted):
            return name, asked  # else pydicom could not say it after all
    return None
