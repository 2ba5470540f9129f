# SPDX-License-Identifier: Apache-2.0
"""The sandbox in a real server: who starts it, what its loss costs, what it weighs."""

import io
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pydicom
import pytest
from corpus_files import quiet
from corpus_house import House, Store
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import MRImageStorage, StudyRootQueryRetrieveInformationModelGet

MAX_PSS = 400 << 20  # bytes of all processes together
NAME = "MR_small_RLE.dcm"


def content(name: str = NAME) -> bytes:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    return Path(path).read_bytes()


def sent() -> pydicom.Dataset:
    with quiet():
        return pydicom.dcmread(io.BytesIO(content()))


def address() -> str:
    found = sent()
    return (
        f"/studies/{found.StudyInstanceUID}/series/{found.SeriesInstanceUID}"
        f"/instances/{found.SOPInstanceUID}"
    )


@pytest.fixture
def store(house: House) -> Iterator[Store]:
    with house.empty() as store:
        assert store.stow(content())[0] == 200
        yield store


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def zygote(store: Store) -> int:
    for pid in children(store.server.process.pid):
        if b"radkeep.sandbox" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise AssertionError("there is no zygote")


def field(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(f"{name}:"))


def picture(store: Store, query: str = "") -> int:
    return store.get(f"{address()}/rendered{query}", "image/png").status_code


def test_workers_are_confined_and_come_first(store: Store) -> None:
    assert picture(store) == 200
    made = zygote(store)
    assert made == min(children(store.server.process.pid))  # before any process that has keys
    (worker,) = children(made)
    assert field(worker, "Seccomp") == "2"  # a filter
    assert field(worker, "NoNewPrivs") == "1"
    assert field(worker, "Threads") == "1"
    if os.geteuid() == 0:
        open_files = {str(each.readlink()) for each in Path(f"/proc/{worker}/fd").iterdir()}
        assert {each.partition(":")[0] for each in open_files} == {"/dev/null", "socket"}


def test_a_lost_zygote_is_replaced(store: Store) -> None:
    assert picture(store) == 200
    lost = zygote(store)
    os.kill(lost, signal.SIGKILL)
    while lost in children(store.server.process.pid):
        pass
    answers = {picture(store) for _ in range(3)}
    assert 200 in answers
    assert picture(store) == 200
    assert zygote(store) != lost
    assert any("sandbox.restarted" in line for line in store.server.log)


def test_a_jam_of_pictures_holds_up_nobody_else(store: Store) -> None:
    """Workers that stand still, and more requests for pictures than there are threads."""
    assert picture(store) == 200
    (worker,) = children(zygote(store))
    os.kill(worker, signal.SIGSTOP)
    with ThreadPoolExecutor(24) as threads:
        decoded = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
        asked = [
            threads.submit(store.get, f"{address()}/{path}", accept)
            for _ in range(12)
            for path, accept in (("rendered", "image/png"), ("frames/1", decoded))
        ]
        stopped = {worker}
        while len(stopped) < 2:  # the other worker is made, and stands still as well
            for other in set(children(zygote(store))) - stopped:
                os.kill(other, signal.SIGSTOP)
                stopped.add(other)
        for _ in range(5):
            began = time.monotonic()
            assert store.get("/studies", "application/dicom+json").status_code == 200
            assert time.monotonic() - began < 1
        for each in stopped:
            os.kill(each, signal.SIGCONT)
        assert {each.result().status_code for each in asked} <= {200, 503}


def test_everything_together_stays_small(store: Store) -> None:
    """Two workers busy at once on a large image, which they enlarge besides."""
    with quiet():
        large = pydicom.dcmread(io.BytesIO(content("CT_small.dcm")))
    large.Rows = large.Columns = 4096
    large.PixelData = np.arange(4096 * 4096, dtype="<u2").tobytes()
    large.SOPInstanceUID += ".1"
    buffer = io.BytesIO()
    with quiet():
        large.save_as(buffer)
    assert store.stow(buffer.getvalue())[0] == 200
    where = (
        f"/studies/{large.StudyInstanceUID}/series/{large.SeriesInstanceUID}"
        f"/instances/{large.SOPInstanceUID}/rendered"
    )
    peak = 0
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(store.get, where, "image/jpeg") for _ in range(6)]
        while not all(each.done() for each in waiting):
            peak = max(peak, _weight(store))
        assert {each.result().status_code for each in waiting} == {200}
    print(f"peak of all processes: {peak >> 20} MiB")
    assert peak < MAX_PSS


def _weight(store: Store) -> int:
    total = 0
    for pid in [*store.server.pids(), *children(zygote(store))]:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) << 10
    return total


def test_a_peer_without_codecs_gets_decoded_pixels(store: Store) -> None:
    found = []

    def received(event: evt.Event) -> int:
        event.dataset.file_meta = event.file_meta
        found.append(event.dataset)
        return 0

    store.installation.run("device", "add", "PLAIN", "--from", "127.0.0.0/8", "--allow", "get")
    ae = AE(ae_title="PLAIN")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    ae.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    peer = ae.associate(
        *store.dimse,
        ae_title="RADKEEP",
        ext_neg=[build_role(MRImageStorage, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, received)],
    )
    assert peer.is_established
    wanted = pydicom.Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.StudyInstanceUID = sent().StudyInstanceUID
    answers = list(peer.send_c_get(wanted, StudyRootQueryRetrieveInformationModelGet))
    peer.release()
    assert answers[-1][0].Status == 0
    (got,) = found
    assert got.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(got.pixel_array, sent().pixel_array)
