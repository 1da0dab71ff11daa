"""Batches that are decided when they are whole keep what they need of each part, no more."""

import weakref

import numpy as np
import pyarrow as pa
import pytest

from noria.batch import whole
from noria.batch.whole import whole_batch
from noria.records.batch import WholeDecision

N_ROWS, N_PARTS = 500, 6
TOP = WholeDecision(("no", "yes"), share=0.1)
SHIFTED = WholeDecision(("no", "yes"), known_shares=(0.5, 0.5), weights=(1.0, 1.0))


def _parts(alive):
    """Yield the answers of parts whose memory can be seen to be given back."""
    for seed in range(N_PARTS):
        yes = np.random.default_rng(seed).random(N_ROWS)
        columns = {"p_no": 1.0 - yes, "p_yes": yes}
        made = {}
        for name, values in columns.items():
            alive.append(weakref.ref(values))
            made[name] = pa.Array.from_buffers(pa.float64(), N_ROWS, [None, pa.py_buffer(values)])
        del columns, yes, values
        yield pa.table(made)
        made.clear()


@pytest.mark.parametrize("decision", [TOP, SHIFTED], ids=["top share", "class shares"])
def test_of_each_part_a_copy_of_what_is_needed_is_kept(decision, monkeypatch):
    """A view of one column would keep all columns of all parts in memory."""
    alive, most, concatenate = [], 0, np.concatenate

    def watched(arrays, *args, **more):
        nonlocal most
        most = max(most, sum(found() is not None for found in alive))
        return concatenate(arrays, *args, **more)

    monkeypatch.setattr(whole.np, "concatenate", watched)
    whole_batch(decision, _parts(alive), n_rows=N_ROWS * N_PARTS, least=10)
    assert len(alive) == 2 * N_PARTS
    assert most <= 2  # the last part's
