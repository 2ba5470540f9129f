# SPDX-License-Identifier: Apache-2.0
"""Storage commitment of a real server: what came over the wire, and a volume that is damaged."""

from pathlib import Path
from queue import SimpleQueue

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from radkeep.testing import server as radkeep_server

COMMITMENT, WELL_KNOWN = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
NAMES = ("CT_small.dcm", "MR_small.dcm")


def test_a_byte_changed_on_the_disk_is_found_before_the_sender_deletes(tmp_path: Path) -> None:
    sets = [pydicom.dcmread(str(get_testdata_file(name))) for name in NAMES]
    reports: SimpleQueue[tuple[int, Dataset]] = SimpleQueue()
    founded = radkeep_server.found(tmp_path)
    with radkeep_server.serving(founded) as server:
        founded.run("device", "add", "CT1", "--from", "127.0.0.0/8")
        ae = AE(ae_title="CT1")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
        for one in sets:
            ae.add_requested_context(one.SOPClassUID, one.file_meta.TransferSyntaxUID)
        ae.add_requested_context(COMMITMENT)
        link = ae.associate(
            "127.0.0.1",
            server.dimse,
            ae_title="RADKEEP",
            evt_handlers=[
                (
                    evt.EVT_N_EVENT_REPORT,
                    lambda e: (reports.put((e.event_type, e.event_information)), (0, None))[1],
                )
            ],
        )
        assert link.is_established
        assert [link.send_c_store(one).Status for one in sets] == [0, 0]
        action = Dataset()
        action.TransactionUID = "2.25.1"
        action.ReferencedSOPSequence = []
        for one in sets:
            item = Dataset()
            item.ReferencedSOPClassUID = one.SOPClassUID
            item.ReferencedSOPInstanceUID = one.SOPInstanceUID
            action.ReferencedSOPSequence.append(item)
        assert link.send_n_action(action, 1, COMMITMENT, WELL_KNOWN)[0].Status == 0
        assert reports.get(timeout=20)[0] == 1

        volume = max((tmp_path / "data" / "volumes").rglob("*.rkv"), key=lambda p: p.stat().st_size)
        with volume.open("r+b") as file:
            file.seek(20_000)  # within the first of the two
            byte = file.read(1)
            file.seek(20_000)
            file.write(bytes((byte[0] ^ 1,)))
        assert link.send_n_action(action, 1, COMMITMENT, WELL_KNOWN)[0].Status == 0
        kind, said = reports.get(timeout=20)
        link.release()
        assert kind == 2
        assert [one.FailureReason for one in said.FailedSOPSequence] == [0x0110]
        assert said.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == sets[1].SOPInstanceUID
        events = founded.json("audit", "tail", "--count", "50")
    told = [(e.get("count"), e.get("outcome", 0)) for e in events
            if e.get("type") == "radkeep:committed"]  # fmt: skip
    assert sorted(told) == [(1, 0), (1, 0), (1, 0), (1, 4)]
