# SPDX-License-Identifier: Apache-2.0
"""One server a data directory; what a killed one leaves; how it stops with its process group."""

import os
import signal
import stat
from pathlib import Path

import pytest
from torture_clinic import (
    audited,
    founded,
    instance,
    part10,
    power_cut,
    processes,
    retrieved,
    rows,
    stopped,
    stow,
    verified,
    wait_until,
)
from torture_load import Ledger, Load, Plan

from radkeep.audit.events import EventId, EventType
from radkeep.testing.server import Installation, serving

UID = "1.2.826.0.1.3680043.8.498.97.1.1.1"
PORTS = ("--web-port", "0", "--dimse-port", "0")

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return founded(tmp_path, passphrase=False)


def test_a_second_server_is_refused_and_the_first_goes_on(installation: Installation) -> None:
    with serving(installation) as server:
        for command in (("serve", *PORTS), ("rebuild",)):
            refused = installation.run(*command, check=False)
            assert refused.returncode == 1
            assert refused.stdout == ""
            assert refused.stderr.count("\n") == 1
            assert "another server or command uses this data directory" in refused.stderr
        assert stow(installation.data, [instance(UID, b"ab")])[0] == 200
        assert installation.run("verify", "--full").stdout.strip() == "sound"
        assert stopped(server) == 0


def test_what_a_killed_server_left_stands_in_nobodys_way(
    installation: Installation, tmp_path: Path
) -> None:
    socket = installation.data / "run" / "control.sock"
    with serving(installation) as server:
        assert stow(installation.data, [instance(UID, b"ab")])[0] == 200
        power_cut(server)
    assert socket.exists()
    assert installation.json("device", "list")  # a command sees that nobody listens there
    file = tmp_path / "one.dcm"
    file.write_bytes(part10(instance(UID + "1", b"cd")))
    assert installation.json("import", str(file))["stored"] == 1
    with serving(installation) as server:
        assert len(rows(installation.data, "instances")) == 2
        assert stopped(server) == 0
    assert not socket.exists()


def test_a_group_that_is_told_to_stop_stops_in_order(installation: Installation) -> None:
    with serving(installation) as server:
        assert stow(installation.data, [instance(UID, b"ab")])[0] == 200
        for pid in server.pids():  # what a terminal or a service manager does
            os.kill(pid, signal.SIGTERM)
        assert server.process.wait(30) == 0
        assert not any("Traceback" in line for line in server.log), server.log
    volumes = list((installation.data / "volumes").iterdir())
    assert volumes
    assert {stat.S_IMODE(volume.stat().st_mode) for volume in volumes} == {0o400}
    assert sum(volume.stat().st_size for volume in volumes) < 100_000  # nothing allocated ahead
    assert verified(installation) == ""
    entries = [(name, event) for name, event in audited(installation) if name in ("dimse", "web")]
    last = dict(entries)
    assert {name: event.type for name, event in last.items()} == {
        "dimse": EventType.APPLICATION_STOP,
        "web": EventType.APPLICATION_STOP,
    }
    transferred = [e for _, e in entries if e.event is EventId.INSTANCES_TRANSFERRED]
    assert [event.count for event in transferred] == [1]


@pytest.mark.parametrize("door", ["dimse", "web"])
def test_a_killed_door_comes_back(installation: Installation, door: str) -> None:
    with serving(installation) as server:
        assert stow(installation.data, [instance(UID, b"ab")])[0] == 200
        before = processes(server)
        os.kill(before[door], signal.SIGKILL)
        wait_until(lambda: any("process.restarted" in line for line in server.log), door)
        after = processes(server)
        assert {name for name in before if before[name] != after.get(name)} == {door}
        assert retrieved(installation.data, UID.rsplit(".", 2)[0]).keys() == {UID}
        assert stopped(server) == 0
    assert verified(installation) == ""


def test_a_killed_keeper_ends_everything(installation: Installation) -> None:
    with serving(installation) as server:
        before = processes(server)
        os.kill(before["keeper"], signal.SIGKILL)
        assert server.process.wait(30) != 0
        wait_until(lambda: not any(Path(f"/proc/{p}").exists() for p in before.values()), "the end")
    assert verified(installation) == ""


def test_a_killed_supervisor_takes_all_with_it(installation: Installation) -> None:
    ledger = Ledger()
    plan = Plan(4, ledger)
    with serving(installation) as server:
        pids = processes(server)
        batches = [plan.batch(100) for _ in range(3)]
        load = Load(installation.data, server.dimse, ledger, batches)
        wait_until(lambda: len(ledger.stored) > 20, "some load")
        os.kill(pids["keeper"], signal.SIGSTOP)  # it takes its time to end
        server.process.kill()
        server.process.wait()
        early = installation.run("serve", *PORTS, check=False)
        assert early.returncode == 1
        assert "another server or command uses this data directory" in early.stderr
        os.kill(pids["keeper"], signal.SIGCONT)
        load.stop()
    wait_until(lambda: not any(Path(f"/proc/{p}").exists() for p in pids.values()), "the end")
    with serving(installation) as server:
        served: dict[str, str] = {}
        for row in rows(installation.data, "studies"):
            served |= retrieved(installation.data, row["0020000D"]["Value"][0])
        assert stopped(server) == 0
    assert ledger.mistakes == []
    assert {uid: {served.get(uid)} for uid in ledger.stored} == ledger.stored
    assert verified(installation) == ""
