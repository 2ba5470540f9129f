# SPDX-License-Identifier: Apache-2.0
"""A writer killed at any moment loses no entry that it had acknowledged."""

import subprocess
import sys
from pathlib import Path

import pytest

from radkeep.audit.log import LogReader, LogWriter
from radkeep.audit.verify import verify
from radkeep.crypto.sign import SigningKey
from radkeep.domain.clock import SystemClock

SIGNING = SigningKey.from_bytes(b"s" * 32)
PAYLOAD_KEY = b"p" * 32
WRITER = """
import sys
from pathlib import Path
from radkeep.audit.log import LogWriter
from radkeep.crypto.sign import SigningKey
from radkeep.domain.clock import SystemClock
from radkeep.testing.audit import sample_event

log = LogWriter(Path(sys.argv[1]), signing=SigningKey.from_bytes(b"s" * 32),
                payload_key=b"p" * 32, clock=SystemClock(), segment=50)
while True:
    indices = log.append([("test", sample_event(n)) for n in range(log.size, log.size + 3)])
    print(indices[-1], flush=True)
"""


@pytest.mark.parametrize("after", [1, 17, 40, 103])
def test_a_killed_writer_loses_nothing(tmp_path: Path, after: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        for _ in range(after):
            process.stdout.readline()
        process.kill()
        told = [int(line) for line in process.stdout if line.endswith("\n")]
    last = told[-1] if told else after * 3 - 1
    with LogWriter(
        tmp_path, signing=SIGNING, payload_key=PAYLOAD_KEY, clock=SystemClock(), segment=50
    ) as log:
        assert last < log.size <= last + 4
        size = log.size
    entries = list(LogReader(tmp_path, PAYLOAD_KEY, SIGNING.public).read())
    assert [entry.event.actor_id for entry in entries] == [f"sample-{n}" for n in range(size)]
    assert verify(tmp_path, SIGNING.public).intact
