# SPDX-License-Identifier: Apache-2.0
"""A disk that fills up while a large object is on its way: 0xA700, and nothing half there."""

import os
import sys
import threading
from pathlib import Path

import pytest
from tests.crash.conftest import tmp_path
from tests.crash.test_real_disk_full import NO_ROOM, ROOT, disk, fill_up, listed, store
from tests.faults.proxy import Deed, Fault, Proxy

from radkeep.testing.server import serving

sys.path.insert(0, str(Path(__file__).parents[1] / "torture"))

from torture_clinic import CT, DEVICE, EXPLICIT, Association, digest, founded, instance, verified

__all__ = ["disk", "tmp_path"]

pytestmark = pytest.mark.timeout(120)
MIB = 1 << 20


def test_the_disk_fills_in_the_middle_of_a_large_object(disk: Path) -> None:
    noise = os.urandom(MIB) * 24
    installation = founded(disk, passphrase=False)
    large = instance(f"{ROOT}.7.1.1", noise)
    small = instance(f"{ROOT}.8.1.1", noise[:5_000])
    told: list[int] = []
    with (
        serving(installation) as server,
        Proxy(("127.0.0.1", server.dimse), up=Fault(Deed.HOLD, 8 * MIB)) as proxy,
    ):
        assert store(server, small) == [0]

        def send() -> None:
            link = Association(proxy.address, [(CT, EXPLICIT)], calling=DEVICE)
            told.append(link.store(large))
            link.release()

        sender = threading.Thread(target=send)
        sender.start()
        assert proxy.struck.wait(30)
        filler = fill_up(disk, leave=0)
        proxy.resume.set()
        sender.join(60)
        assert told == [NO_ROOM]
        filler.unlink()
        assert listed(installation) == {small.sop_instance: digest(small)}
        proxy.heal()
        send()
        assert told == [NO_ROOM, 0]
        kept = {each.sop_instance: digest(each) for each in (small, large)}
        assert listed(installation) == kept
    assert verified(installation) == ""
