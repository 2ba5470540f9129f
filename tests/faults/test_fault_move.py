# SPDX-License-Identifier: Apache-2.0
"""C-MOVE over a bad network: destinations that vanish, crawl or stall, and askers that vanish.

Invariant tested: an instance that did not arrive is counted as failed, once; the others arrive;
the asker hears an end; and the next move works.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from pynetdicom import AE
from tests.faults.proxy import Deed, Fault, Proxy
from tests.wire.conftest import (
    audit,
    catalog,
    finder,
    instance,
    open_door,
    rawsend,
    selector,
    shelf,
)
from tests.wire.test_wire_retrieve import (
    CT,
    EXPLICIT,
    MOVE,
    STUDY,
    clinic,
    counts,
    held,
    move,
    receiver,
    wanted,
)

from radkeep.dimse.scu.proposal import PeerError, Proposal
from radkeep.dimse.scu.requestor import Requestor
from radkeep.dimse.wire.commands import CommandField
from radkeep.testing.dimse import Door, Place

__all__ = ["audit", "catalog", "clinic", "finder", "held", "instance", "open_door", "rawsend",
           "selector", "shelf"]  # fmt: skip

ASKED = wanted("SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1")  # 70 to 420 KB
IN_THE_SECOND = 150_000  # bytes after which the second of the six instances is under way


def through(door: Door, proxy: Proxy) -> None:
    """Have the destination's network be ``proxy``."""
    door.destinations.places["DEST"] = Place("DEST", *proxy.address)


def place(door: Door) -> tuple[str, int]:
    """Return where the destination listens."""
    found = door.destinations.places["DEST"]
    return found.host, found.port


@pytest.mark.parametrize("deed", [Deed.CLOSE, Deed.RESET])
def test_a_destination_that_vanishes_once(clinic: Door, deed: Deed) -> None:
    with (
        receiver(clinic) as got,
        Proxy(place(clinic), up=Fault(deed, IN_THE_SECOND), once=True) as proxy,
    ):
        through(clinic, proxy)
        statuses, found = move(clinic, ASKED)
        assert proxy.struck.is_set()
        assert proxy.links == 2
        assert statuses[-1].Status == 0xB000
        assert counts(statuses[-1]) == (5, 1, 0)
        assert found[-1].FailedSOPInstanceUIDList == f"{STUDY}.1.2"
        assert len({str(e.request.AffectedSOPInstanceUID) for e in got}) == 5
        statuses, _ = move(clinic, ASKED)
        assert counts(statuses[-1]) == (6, 0, 0)


@pytest.mark.parametrize("deed", [Deed.CLOSE, Deed.RESET])
def test_a_destination_that_always_vanishes(clinic: Door, deed: Deed) -> None:
    with receiver(clinic), Proxy(place(clinic), up=Fault(deed, 2_000)) as proxy:
        through(clinic, proxy)
        statuses, _ = move(clinic, ASKED)
        assert proxy.links == 2  # it is not asked six times
        assert statuses[-1].Status == 0xA702
        assert counts(statuses[-1]) == (0, 6, 0)
        proxy.heal()
        statuses, _ = move(clinic, ASKED)
        assert counts(statuses[-1]) == (6, 0, 0)


def test_a_slow_destination(clinic: Door) -> None:
    with (
        receiver(clinic),
        Proxy(place(clinic), down=Fault(Deed.SLOW, interval=0.0005)) as proxy,
    ):
        through(clinic, proxy)
        statuses, _ = move(clinic, ASKED)
        assert counts(statuses[-1]) == (6, 0, 0)


@pytest.mark.parametrize(
    ("up", "down"), [(Fault(Deed.SILENCE, 2_000), None), (None, Fault(Deed.SILENCE, 250))]
)
def test_a_destination_that_stalls(
    open_door: Callable[..., Door],
    instance: Callable[..., Any],
    up: Fault | None,
    down: Fault | None,
) -> None:
    door, sent = open_door(), instance(size=20_000_000)
    with Proxy(door.address, up=up, down=down) as proxy:
        host, port = proxy.address
        proposal = Proposal(
            host=host, port=port, called="RADKEEP", calling="US",
            contexts=[(CT, [EXPLICIT])], answer=0.5,
        )  # fmt: skip
        link = Requestor(proposal)
        began = time.monotonic()
        command = link.command(CommandField.C_STORE, sent.sop_class, sent.sop_instance)
        with pytest.raises(PeerError, match="in time"):
            link.ask(link.context(CT), command, [(sent.data_set, True)])
        assert time.monotonic() - began < 5
        assert not link.alive


def test_an_asker_whose_network_breaks(clinic: Door) -> None:
    second, noticed = threading.Event(), threading.Event()

    def hold(_: object) -> int:
        if len(got) > 1:  # the answer to the first is told to the asker, which breaks its network
            second.set()
            noticed.wait(10)
        return 0

    with (
        receiver(clinic, answer=hold) as got,
        Proxy(clinic.address, down=Fault(Deed.RESET, 320), once=True) as proxy,
    ):
        ae = AE(ae_title="WS1")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
        ae.add_requested_context(MOVE, EXPLICIT)
        link = ae.associate(*proxy.address, ae_title="RADKEEP")
        raw = link.dul.socket.socket  # pynetdicom leaves it open when it is reset

        def ask() -> None:
            with raw, contextlib.suppress(Exception):  # whatever pynetdicom makes of it
                list(link.send_c_move(ASKED, "DEST", MOVE))

        asker = threading.Thread(target=ask)
        asker.start()
        assert second.wait(10)
        assert proxy.struck.wait(10)
        deadline = time.monotonic() + 10
        while clinic.server._gate.associated:
            assert time.monotonic() < deadline
        noticed.set()
        asker.join(40)
        statuses, _ = move(clinic, ASKED)
        assert counts(statuses[-1]) == (6, 0, 0)
        assert len(got) < 6 + 6  # the rest of the first move was not sent
