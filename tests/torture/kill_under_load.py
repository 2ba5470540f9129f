# SPDX-License-Identifier: Apache-2.0
"""Kill a real server under load, again and again, and look whether it lost or broke anything.

    python tests/torture/kill_under_load.py [--rounds 100] [--seed N]

A round: start the server; everything acknowledged so far must be there with equal SHA-256, all
that is listed must be whole, and nothing that was refused may be served. Then several associations
and STOW-RS send instances of mixed sizes, some twice, some with other content under a known UID. In
every third round one door alone is killed first and must come back; before every fourth a server is
killed while it starts. At a random moment every process gets SIGKILL; `radkeep verify --full` and
`radkeep audit verify` must find nothing. Each data directory serves ten rounds; its last start ends
with SIGTERM and a clean stop.

Invariant: exit 0 only when no round found anything; the seed is printed, so a run can be repeated
(its timing cannot).
"""

import argparse
import os
import random  # noqa: TID251 - seeded, so that a run can be repeated
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from torture_clinic import (
    founded,
    port_flags,
    power_cut,
    processes,
    retrieved,
    rows,
    stopped,
    verified,
    wait_until,
)
from torture_load import Ledger, Load, Plan

from radkeep.testing.server import Installation, Server, command, environment, serving

ROUNDS_OF_ONE = 10  # in one data directory
ASSOCIATIONS = 4
BATCH = 150  # instances for each sender; more than it can send before the kill
DOOR_EVERY = 3  # rounds
FALSE_START_EVERY = 4  # rounds


class LostError(Exception):
    """Something acknowledged is gone, or something half is there."""


@dataclass
class Totals:
    """What all rounds did."""

    rounds: int = 0
    passphrase: int = 0
    doors: int = 0
    acknowledged: int = 0
    conflicts: int = 0
    unacknowledged: int = 0  # kept although nobody was told; no fault


class Campaign:
    """The rounds of one data directory."""

    def __init__(self, installation: Installation, seed: int, totals: Totals) -> None:
        self._installation = installation
        self._data = installation.data
        self._random = random.Random(seed)
        self._totals = totals
        self._flags = port_flags()
        self.ledger = Ledger()
        self._plan = Plan(seed, self.ledger)

    def round(self, number: int) -> str:
        """Do one round; return what to print about it."""
        start = self._false_start() if number % FALSE_START_EVERY == 0 else ""
        with serving(self._installation, *self._flags) as server:
            listed = self.check()
            batches = [self._plan.batch(BATCH) for _ in range(ASSOCIATIONS + 1)]
            load = Load(self._data, server.dimse, self.ledger, batches)
            pause = threading.Event()
            note = ""
            if number % DOOR_EVERY == 0:
                pause.wait(self._random.uniform(0.05, 0.5))
                note = self._kill_door(server)
            pause.wait(self._random.uniform(0.05, 1.2))
            power_cut(server)
            load.stop()
        if self.ledger.mistakes:
            raise LostError("; ".join(self.ledger.mistakes))
        found = verified(self._installation)
        if found:
            raise LostError(f"verification after the kill: {found}")
        return f"{listed} instances{start}{note}"

    def last(self) -> str:
        """Start once more, check, stop in order, verify."""
        with serving(self._installation, *self._flags) as server:
            listed = self.check()
            if stopped(server) != 0:
                raise LostError("the server did not stop in order")
        found = verified(self._installation)
        if found:
            raise LostError(f"verification after the stop: {found}")
        return f"{listed} instances, stopped in order"

    def check(self) -> int:
        """Compare what the server has with the ledger; return how many instances it lists.

        Raises:
            LostError: they contradict each other.
        """
        ledger = self.ledger
        instances = rows(self._data, "instances")
        listed = {row["00080018"]["Value"][0] for row in instances}
        if len(listed) != len(instances):
            raise LostError("an instance is listed twice")
        missing = ledger.stored.keys() - listed
        if missing:
            raise LostError(f"{len(missing)} acknowledged instances are gone: {min(missing)}")
        served: dict[str, str] = {}
        for row in rows(self._data, "studies"):
            study, count = row["0020000D"]["Value"][0], row["00201208"]["Value"][0]
            got = retrieved(self._data, study)
            if len(got) != count:
                raise LostError(f"a study of {count} instances gives {len(got)}")
            served |= got
        if served.keys() != listed:
            raise LostError("what is listed and what is retrieved differ")
        for uid, found in served.items():
            if found not in ledger.sent[uid]:
                raise LostError(f"nobody ever sent this content: {uid}")
            if ledger.stored[uid] - {found}:
                raise LostError(f"other content than acknowledged: {uid}")
            if found in ledger.refused[uid]:
                raise LostError(f"content that was refused is served: {uid}")
        self._totals.unacknowledged += sum(not ledger.stored[uid] for uid in served)
        return len(listed)

    def _false_start(self) -> str:
        """Kill a server while it starts: in the middle of a replay, when chance will have it."""
        process = subprocess.Popen(
            command("serve", "--data", str(self._data), *self._flags),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(self._installation.passphrase_file),
        )
        after = self._random.uniform(0.5, 3.0)
        threading.Event().wait(after)
        power_cut(Server(process, {}))
        return f", a start killed after {after:.1f} s"

    def _kill_door(self, server: Server) -> str:
        before = processes(server)
        door = self._random.choice(("dimse", "web"))
        os.kill(before[door], signal.SIGKILL)
        wait_until(lambda: any("process.restarted" in line for line in server.log), "the door")
        after = processes(server)
        same = {name for name in before if before[name] == after.get(name)}
        if same != before.keys() - {door} or door not in after:
            raise LostError("a killed door took others with it")
        self._totals.doors += 1
        return f", {door} killed and back"


@contextmanager
def kept_on_failure(folder: Path | None) -> Iterator[Path]:
    """Give a new folder; it is removed when all went well, and named when not."""
    place = Path(tempfile.mkdtemp(prefix="torture-", dir=folder))
    try:
        yield place
    except BaseException:
        print(f"kept for a look: {place}", file=sys.stderr)
        raise
    shutil.rmtree(place)


def run(rounds: int, seed: int, passphrase_every: int, folder: Path | None = None) -> Totals:
    """Do `rounds` rounds.

    Raises:
        LostError: with the round in which it was found.
    """
    totals = Totals()
    chance = random.Random(seed)
    while totals.rounds < rounds:
        directory = totals.rounds // ROUNDS_OF_ONE
        passphrase = directory % passphrase_every == passphrase_every - 1 or rounds < ROUNDS_OF_ONE
        with kept_on_failure(folder) as place:
            campaign = Campaign(
                founded(place, passphrase=passphrase), chance.randrange(1 << 16), totals
            )
            for _ in range(min(ROUNDS_OF_ONE, rounds - totals.rounds)):
                totals.rounds += 1
                totals.passphrase += passphrase
                began = time.monotonic()
                try:
                    said = campaign.round(totals.rounds)
                except (LostError, AssertionError) as error:
                    raise LostError(f"round {totals.rounds}: {error}") from error
                took = time.monotonic() - began
                print(f"round {totals.rounds}: {took:.1f} s, {said}", flush=True)
            print(f"          {campaign.last()}; {dict(campaign.ledger.statuses)}", flush=True)
            totals.acknowledged += sum(map(bool, campaign.ledger.stored.values()))
            totals.conflicts += sum(map(len, campaign.ledger.refused.values()))
    return totals


def main() -> int:
    """Run the torture; 0 only when nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--passphrase-every", type=int, default=5, help="data directories")
    parser.add_argument("--folder", type=Path, help="where data directories are made")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    try:
        totals = run(options.rounds, seed, options.passphrase_every, options.folder)
    except LostError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print(f"{totals} in {time.monotonic() - began:.0f} s: nothing lost, nothing half there")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
