# SPDX-License-Identifier: Apache-2.0
"""Two processes enter instances at once: each UID gets one row, and the counts are right."""

import json
import subprocess
import sys
from pathlib import Path

from radkeep.database.catalog.catalog import Catalog
from radkeep.domain.uid import Uid
from radkeep.ingest.ports import Clash, Verdict
from radkeep.testing.arrivals import ROOT, arrival, facts

KEY = bytes(range(32))
SERIES, EACH = 2, 60  # each process sends EACH instances to every series of one shared study
SHARED = 10  # instances that both send with equal bytes
CLASHING = 5  # and UIDs that each sends with bytes of its own

_WRITER = """
import json, sys
from pathlib import Path
from radkeep.database.catalog.catalog import Catalog
from radkeep.ingest.ports import Clash, Verdict
from radkeep.testing.arrivals import arrival, facts

path, who = Path(sys.argv[1]), int(sys.argv[2])
series, each, shared, clashing = map(int, sys.argv[3:7])
volume = f"{who:032x}"
catalog = Catalog.open(path, bytes(range(32)))
made = []
for number in range(each):
    for one in range(1, series + 1):
        made.append(facts(1, one, who * 1000 + number))
made += [facts(1, 1, 5000 + number) for number in range(shared)]
pieces = [(one, "same") for one in made]
pieces += [(facts(1, 1, 6000 + number), f"of {who}") for number in range(clashing)]
answers = {}
print("ready", flush=True)
sys.stdin.readline()
for start in range(0, len(pieces), 8):
    group = [
        arrival(one, content=content, volume=volume, offset=start + at, second=who)
        for at, (one, content) in enumerate(pieces[start : start + 8])
    ]
    verdicts = catalog.commit(volume, start + len(group), group)
    rulings = []
    for entry, verdict in zip(group, verdicts):
        if isinstance(verdict, Clash):
            assert verdict.original.volume != volume
            rulings.append((entry, Verdict.CONFLICT))
        answers[entry.facts.sop_instance] = type(verdict).__name__ + "." + getattr(
            verdict, "name", ""
        )
    if rulings:
        catalog.judged(volume, start + len(group), rulings)
catalog.close()
print(json.dumps(answers), flush=True)
"""


def test_two_processes_agree(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    catalog = Catalog.open(path, KEY)
    sizes = [str(number) for number in (SERIES, EACH, SHARED, CLASHING)]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), who, *sizes],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in ("1", "2")
    ]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    answers = [json.loads(writer.communicate(timeout=60)[0]) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]

    def pair(number: int) -> list[str]:
        return sorted(answer[f"{ROOT}.1.1.{number}"] for answer in answers)

    for number in range(SHARED):
        assert pair(5000 + number) == ["Verdict.SAME", "Verdict.STORED"]
    for number in range(CLASHING):
        assert pair(6000 + number) == ["Clash.", "Verdict.STORED"]
    stored = 2 * SERIES * EACH + SHARED + CLASHING
    numbers = catalog.statistics("clinic")
    assert (numbers.studies, numbers.series, numbers.instances) == (1, SERIES, stored)
    assert numbers.quarantined == CLASHING
    assert len(catalog.instances("clinic", Uid(f"{ROOT}.1"))) == stored
    assert set(catalog.positions().values()) == {2 * EACH + SHARED + CLASHING}
    assert catalog.integrity() == []
    catalog.close()


def test_a_row_is_seen_by_another_process_as_soon_as_it_is_committed(tmp_path: Path) -> None:
    one = Catalog.open(tmp_path / "catalog.db", KEY)
    two = Catalog.open(tmp_path / "catalog.db", KEY)
    for number in range(1, 20):
        assert one.commit("a" * 32, number, [arrival(facts(1, 1, number), offset=number)]) == [
            Verdict.STORED
        ]
        assert len(two.instances("clinic", Uid(f"{ROOT}.1"))) == number
        (clash,) = two.commit("b" * 32, 1, [arrival(facts(1, 1, number), content="x")])
        assert isinstance(clash, Clash)
    one.close()
    two.close()
