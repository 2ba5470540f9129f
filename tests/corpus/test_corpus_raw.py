# SPDX-License-Identifier: Apache-2.0
"""Every storable file over C-STORE: what is retrieved is what was on the wire, bit for bit."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from corpus_files import BATCHES, UNREADABLE, Real, split
from corpus_house import House

import rawsend

CONTEXTS = 120  # of one association


def _sent(real: Real) -> rawsend.Instance:
    return rawsend.Instance(real.sop_class, real.sop_instance, real.transfer_syntax, real.data_set)


@pytest.mark.parametrize("number", range(BATCHES))
def test_what_is_retrieved_equals_the_bytes_on_the_wire(
    house: House, storable: Sequence[Sequence[Real]], number: int
) -> None:
    batch = storable[number]
    assert batch
    with house.empty() as store:
        for start in range(0, len(batch), CONTEXTS):
            part = batch[start : start + CONTEXTS]
            result = rawsend.send(store.dimse, [_sent(real) for real in part])
            refused = {
                real.name for real, status in zip(part, result.statuses, strict=True) if status
            }
            assert refused == set()
        for real in batch:
            syntax, data_set = split(store.instance(real.address))
            assert syntax == real.transfer_syntax, real.name
            assert data_set == real.data_set, real.name


def test_every_storable_file_is_in_a_batch(storable: Sequence[Sequence[Real]]) -> None:
    assert sum(map(len, storable)) == 187
    for batch in storable:
        assert len({real.sop_instance for real in batch}) == len(batch)


def test_a_file_that_pydicom_cannot_read(house: House, corpus: Sequence[Path]) -> None:
    path = next(path for path in corpus if f"{path.parent.name}/{path.name}" == UNREADABLE)
    instance = rawsend.Instance.read(path)
    with house.empty() as store:
        assert rawsend.send(store.dimse, [instance]).statuses == [0]
        found = store.get(f"/instances?SOPInstanceUID={instance.sop_instance}", "*/*").json()[0]
        study, series = (found[tag]["Value"][0] for tag in ("0020000D", "0020000E"))
        address = f"/studies/{study}/series/{series}/instances/{instance.sop_instance}"
        assert split(store.instance(address)) == (instance.transfer_syntax, instance.data_set)
