# SPDX-License-Identifier: Apache-2.0
"""C-FIND over a real socket, asked by pynetdicom and by DCMTK's findscu."""

import io
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pydicom
import pytest
from pydicom.config import disable_value_validation
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from radkeep.audit.events import EventId, EventType
from radkeep.database.catalog.catalog import Catalog
from radkeep.dicom.scanner import Scanner
from radkeep.identity.permissions import Permission
from radkeep.retrieval.search import Search
from radkeep.testing.arrivals import ROOT, arrival, facts
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.dimse import Door

PATIENT_ROOT, STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.2.1"
PATIENT_STUDY = "1.2.840.10008.5.1.4.1.2.3.1"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"


@pytest.fixture
def clinic(open_door: Callable[..., Door], catalog: Catalog, finder: Search) -> Door:
    """Return a door before three patients with six studies, each of two series."""
    people = {
        1: {0x00100010: "Müller^Zoë", 0x00100020: "P1"},
        2: {0x00100010: "MULLER^ANNA", 0x00100020: "P2"},
        3: {0x00100010: "Yamada^Tarou=山田^太郎=やまだ^たろう", 0x00100020: "P3"},
    }
    made = []
    for study in range(1, 7):
        texts = people[(study - 1) % 3 + 1] | {
            0x00080020: f"2026010{study}",
            0x00080030: f"1{study}0000",
        }
        made += [facts(study, 1, number, texts=texts) for number in (1, 2)]
        made.append(facts(study, 2, 1, texts=texts | {0x00080060: "SR"}))
    catalog.commit(
        "a" * 32, 1, [arrival(one, offset=at, organization="org") for at, one in enumerate(made)]
    )
    return open_door(rooms={"finder": finder})


@contextmanager
def associated(
    door: Door, *models: str, extended: bytes = b"", syntaxes: Sequence[str] = (EXPLICIT,)
) -> Iterator[object]:
    ae = AE(ae_title="WS1")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
    for model in models:
        ae.add_requested_context(model, list(syntaxes))
    items = []
    if extended:
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid, item.service_class_application_information = models[0], extended
        items.append(item)
    link = ae.associate(*door.address, ae_title="RADKEEP", ext_neg=items)
    assert link.is_established
    try:
        yield link
    finally:
        link.release()


def identifier(level: str, **keys: object) -> Dataset:
    asked = Dataset()
    asked.QueryRetrieveLevel = level
    asked.SpecificCharacterSet = "ISO_IR 192"
    with disable_value_validation():
        for name, value in keys.items():
            setattr(asked, name, value)
    return asked


def ask(
    door: Door, asked: Dataset, model: str = STUDY_ROOT, **options: object
) -> tuple[list[int], list[Dataset]]:
    """Return all statuses and all identifiers."""
    with associated(door, model, **options) as link, disable_value_validation():
        answers = list(link.send_c_find(asked, model))
    return [s.Status for s, _ in answers], [found for _, found in answers if found is not None]


def test_studies(clinic: Door, audit: MemoryAuditLog) -> None:
    asked = identifier("STUDY", PatientName="muller*", StudyInstanceUID="", ModalitiesInStudy="",
                       NumberOfStudyRelatedInstances="", AccessionNumber="",
                       NumberOfPatientRelatedStudies="", StudyDescription="")  # fmt: skip
    statuses, found = ask(clinic, asked)
    assert statuses == [0xFF00] * 4 + [0]
    assert [one.StudyInstanceUID for one in found] == [f"{ROOT}.{n}" for n in (5, 4, 2, 1)]
    first = found[-1]
    assert first.PatientName == "Müller^Zoë"
    assert first.SpecificCharacterSet == "ISO_IR 192"
    assert "SpecificCharacterSet" not in found[0]  # ASCII needs no word
    assert list(first.ModalitiesInStudy) == ["CT", "SR"]
    assert first.NumberOfStudyRelatedInstances == 3
    assert first.NumberOfPatientRelatedStudies == 2
    assert first.RetrieveAETitle == "RADKEEP"
    assert first.InstanceAvailability == "ONLINE"
    assert first.QueryRetrieveLevel == "STUDY"
    (event,) = audit.of(EventId.QUERY)
    assert (event.actor_id, event.count) == ("WS1", 4)
    assert event.detail == {"protocol": "c-find", "level": "study", "keys": "PatientName"}


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_empty_keys_come_back(clinic: Door, syntax: str) -> None:
    asked = identifier("SERIES", StudyInstanceUID=f"{ROOT}.1", SeriesInstanceUID="", Modality="",
                       BodyPartExamined="", Laterality="", SeriesNumber=None,
                       NumberOfSeriesRelatedInstances=None)  # fmt: skip
    statuses, found = ask(clinic, asked, syntaxes=[JPEG, syntax])
    assert statuses == [0xFF00] * 2 + [0]
    assert [one.Modality for one in found] == ["CT", "SR"]
    assert [one.NumberOfSeriesRelatedInstances for one in found] == [2, 1]
    assert found[0].Laterality == ""
    assert found[0].SeriesNumber == 1


def test_what_we_do_not_know_is_told(clinic: Door) -> None:
    asked = identifier("STUDY", StudyInstanceUID="", AdditionalPatientHistory="x")
    statuses, found = ask(clinic, asked)
    assert statuses == [0xFF01] * 6 + [0]
    assert "AdditionalPatientHistory" not in found[0]
    item = Dataset()
    item.ScheduledProcedureStepID = "S"
    statuses, _ = ask(clinic, identifier("SERIES", StudyInstanceUID=f"{ROOT}.1",
                                         ReferencedStudySequence=[item]))  # fmt: skip
    assert statuses == [0xFF01] * 2 + [0]


def requested(*steps: tuple[str, str]) -> list[Dataset]:
    items = []
    for procedure, step in steps:
        item = Dataset()
        item.RequestedProcedureID, item.ScheduledProcedureStepID = procedure, step
        items.append(item)
    return items


@pytest.fixture
def scheduled(open_door: Callable[..., Door], catalog: Catalog, finder: Search) -> Door:
    """Return a door before three series, made for one or two steps of procedures."""
    made = []
    for number, steps in enumerate(
        [[("R1", "S1")], [("R1", "S2"), ("R2", "S1")], [("Größe", "S3")]], 1
    ):
        one = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        one.SpecificCharacterSet = "ISO_IR 100"
        one.SeriesInstanceUID, one.SOPInstanceUID = f"1.2.{number}", f"1.2.{number}.1"
        one.RequestAttributesSequence = requested(*steps)
        file = io.BytesIO()
        one.save_as(file, enforce_file_format=True)
        scanner = Scanner(None)
        scanner.feed(memoryview(file.getvalue()))
        made.append(arrival(scanner.finish().facts, offset=number, organization="org"))
    catalog.commit("a" * 32, 1, made)
    return open_door(rooms={"finder": finder})


@pytest.mark.parametrize(
    ("procedure", "step", "expected"),
    [
        ("", "", ["1.2.1", "1.2.2", "1.2.3"]),
        ("R1", "", ["1.2.1", "1.2.2"]),
        ("R*", "S1", ["1.2.1", "1.2.2"]),
        ("R1", "S1", ["1.2.1"]),  # one item has to fit both
        ("Gr??e", "", ["1.2.3"]),
        ("R3", "", []),
    ],
)
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_keys_of_a_sequence(
    scheduled: Door, procedure: str, step: str, expected: list[str], syntax: str
) -> None:
    study = str(pydicom.dcmread(get_testdata_file("CT_small.dcm")).StudyInstanceUID)
    asked = identifier("SERIES", StudyInstanceUID=study, SeriesInstanceUID="",
                       RequestAttributesSequence=requested((procedure, step)))  # fmt: skip
    statuses, found = ask(scheduled, asked, syntaxes=[syntax])
    assert statuses == [0xFF00] * len(expected) + [0]
    assert sorted(one.SeriesInstanceUID for one in found) == expected
    for one in found:
        for item in one.RequestAttributesSequence:
            assert set(item.dir()) == {"RequestedProcedureID", "ScheduledProcedureStepID"}
    if expected == ["1.2.3"]:
        assert found[0].SpecificCharacterSet == "ISO_IR 192"
        assert found[0].RequestAttributesSequence[0].RequestedProcedureID == "Größe"


@pytest.mark.parametrize(
    ("model", "level", "keys", "count"),
    [
        (PATIENT_ROOT, "PATIENT", {"PatientID": "*"}, 3),
        (PATIENT_ROOT, "PATIENT", {"PatientName": "*yama*"}, 1),
        (PATIENT_ROOT, "PATIENT", {"PatientName": "*やまだ*"}, 1),
        (PATIENT_ROOT, "STUDY", {"PatientID": "P1"}, 2),
        (PATIENT_ROOT, "SERIES", {"PatientID": "P1", "StudyInstanceUID": f"{ROOT}.1"}, 2),
        (PATIENT_STUDY, "STUDY", {"PatientID": "P1"}, 2),
        (STUDY_ROOT, "STUDY", {"PatientID": "P?"}, 6),
        (STUDY_ROOT, "STUDY", {"StudyInstanceUID": [f"{ROOT}.1", f"{ROOT}.3", "1.2"]}, 2),
        (STUDY_ROOT, "STUDY", {"StudyDate": "20260102-20260104"}, 3),
        (STUDY_ROOT, "STUDY", {"StudyDate": "-20260102", "StudyTime": "12-"}, 1),
        (STUDY_ROOT, "STUDY", {"ModalitiesInStudy": "MR"}, 0),
        (STUDY_ROOT, "STUDY", {"ModalitiesInStudy": ["MR", "SR"]}, 6),
        (STUDY_ROOT, "STUDY", {"AccessionNumber": "acc*"}, 0),
        (STUDY_ROOT, "SERIES", {"StudyInstanceUID": f"{ROOT}.1", "Modality": "SR"}, 1),
        (
            STUDY_ROOT,
            "IMAGE",
            {"StudyInstanceUID": f"{ROOT}.1", "SeriesInstanceUID": f"{ROOT}.1.1"},
            2,
        ),
        (
            STUDY_ROOT,
            "IMAGE",
            {
                "StudyInstanceUID": f"{ROOT}.1",
                "SeriesInstanceUID": f"{ROOT}.1.1",
                "InstanceNumber": "2",
                "Rows": 512,
            },
            1,
        ),
    ],
)
def test_levels_and_matching(
    clinic: Door, model: str, level: str, keys: dict[str, object], count: int
) -> None:
    statuses, found = ask(clinic, identifier(level, **keys), model)
    assert statuses == [0xFF00] * count + [0]
    assert all(one.QueryRetrieveLevel == level for one in found)


@pytest.mark.parametrize(
    ("model", "asked", "status"),
    [
        (STUDY_ROOT, identifier("PATIENT", PatientID="P1"), 0xA900),
        (PATIENT_STUDY, identifier("SERIES", PatientID="P1", StudyInstanceUID="1.2"), 0xA900),
        (STUDY_ROOT, identifier("NONSENSE"), 0xA900),
        (PATIENT_ROOT, identifier("STUDY", StudyInstanceUID=f"{ROOT}.1"), 0xA900),
        (PATIENT_ROOT, identifier("STUDY", PatientID="P*"), 0xA900),
        (STUDY_ROOT, identifier("SERIES", SeriesInstanceUID=""), 0xA900),
        (STUDY_ROOT, identifier("SERIES", StudyInstanceUID=["1.2", "1.3"]), 0xA900),
        (STUDY_ROOT, identifier("IMAGE", StudyInstanceUID="1.2"), 0xA900),
        (STUDY_ROOT, identifier("STUDY", StudyInstanceUID="1..2"), 0xA900),
        (STUDY_ROOT, identifier("STUDY", PatientName="x" * 5000), 0xC000),
    ],
)
def test_refusals(clinic: Door, model: str, asked: Dataset, status: int) -> None:
    assert ask(clinic, asked, model) == ([status], [])
    assert ask(clinic, identifier("STUDY", PatientID="P1"))[0] == [0xFF00, 0xFF00, 0]


def test_relational_queries_are_agreed_to(clinic: Door) -> None:
    for asked, status in ((b"\1\1\1\1\1", 0), (b"\0\1", 0xA900)):
        with associated(clinic, STUDY_ROOT, extended=asked) as link:
            agreed = link.acceptor.sop_class_extended
            assert agreed == {
                STUDY_ROOT: bytes(a & b for a, b in zip(asked, b"\1\1\0\0\0", strict=False))
            }
            found = list(link.send_c_find(identifier("SERIES", Modality="SR"), STUDY_ROOT))
        assert len(found) == (7 if status == 0 else 1)
        assert found[-1][0].Status == status


def test_date_and_time_as_one_if_agreed(clinic: Door) -> None:
    asked = identifier("STUDY", StudyDate="20260102-20260104", StudyTime="1230-1330")
    assert ask(clinic, asked)[0] == [0xFF00, 0]  # only the third, at 13:00
    assert ask(clinic, asked, extended=b"\0\1")[0] == [0xFF00, 0]  # from 2nd 12:30 to 4th 13:30
    wider = identifier("STUDY", StudyDate="20260102-20260104", StudyTime="1100-1430")
    assert ask(clinic, wider)[0] == [0xFF00] * 3 + [0]
    late = identifier("STUDY", StudyDate="20260102-20260104", StudyTime="18-01")
    assert ask(clinic, late)[0] == [0]
    assert ask(clinic, late, extended=b"\0\1")[0] == [0xFF00, 0]


def test_no_more_than_the_cap(open_door: Callable[..., Door], clinic: Door, finder: Search) -> None:
    small = open_door(rooms={"finder": finder}, found=4)
    statuses, _ = ask(small, identifier("STUDY", PatientID=""))
    assert statuses == [0xFF00] * 4 + [0xA700]
    statuses, _ = ask(small, identifier("STUDY", StudyDate="20260103-"))
    assert statuses == [0xFF00] * 4 + [0]


def test_who_may_not_query_is_refused(clinic: Door, audit: MemoryAuditLog) -> None:
    clinic.admission.permissions = frozenset({Permission.INSTANCE_STORE})
    assert ask(clinic, identifier("STUDY", PatientID="*"))[0] == [0x0124]
    (event,) = audit.of(EventId.QUERY)
    assert event.type is EventType.REFUSED


def test_cancel_between_answers(
    open_door: Callable[..., Door], catalog: Catalog, finder: Search
) -> None:
    made = [facts(study, 1, 1) for study in range(1, 2_001)]
    catalog.commit(
        "a" * 32, 1, [arrival(one, offset=at, organization="org") for at, one in enumerate(made)]
    )
    door = open_door(rooms={"finder": finder}, in_flight=10_000)
    with associated(door, STUDY_ROOT) as link:
        statuses = []
        for status, _ in link.send_c_find(identifier("STUDY", PatientName=""), STUDY_ROOT):
            statuses.append(status.Status)
            if len(statuses) == 10:
                link.send_c_cancel(1, query_model=STUDY_ROOT)
        assert statuses[-1] in (0xFE00, 0)  # the socket's buffers may hold all that is left
        assert link.send_c_echo is not None
        again = identifier("STUDY", StudyInstanceUID=f"{ROOT}.1")
        assert [s.Status for s, _ in link.send_c_find(again, STUDY_ROOT)] == [0xFF00, 0]


def test_without_a_finder_no_queries_are_offered(door: Door) -> None:
    ae = AE(ae_title="WS1")
    ae.add_requested_context(STUDY_ROOT)
    link = ae.associate(*door.address, ae_title="RADKEEP")
    assert not link.is_established


def test_findscu(clinic: Door) -> None:
    tool = shutil.which("findscu", path="/usr/bin:/usr/local/bin")
    if tool is None:
        pytest.skip("DCMTK's findscu is not installed")
    host, port = clinic.address
    keys = [
        "-k",
        "0008,0052=STUDY",
        "-k",
        "0010,0010=muller*",
        "-k",
        "0020,000D",
        "-k",
        "0008,0061",
    ]
    done = subprocess.run(
        [tool, "-S", "-v", "-aec", "RADKEEP", *keys, host, str(port)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("[Pending") + said.count("(Pending)") >= 4, said
    assert r"CT\SR" in said
