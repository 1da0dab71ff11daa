"""Few keys are passed as they are, many as the key of their list."""

import json

import pytest

from noria.data.source_lists import MOST_KEYS, listed_keys, passed_keys
from noria.errors import DatasetSchemaError
from tests.support.fakes import MemoryArtifacts

LIST = "monitoring/p/checks/c/source-keys.json"
_STATE_BYTES = 256 * 1024


@pytest.mark.parametrize("n_keys", [0, 1, MOST_KEYS, MOST_KEYS + 1, 20_000])
def test_what_is_passed_fits_into_a_state_and_stands_for_all_keys(n_keys):
    """The longest key of S3 has 1,024 bytes."""
    store = MemoryArtifacts()
    keys = tuple(f"inbox/p/{n:09d}/".ljust(1024, "x") for n in range(n_keys))
    passed = passed_keys(store, keys, LIST)
    assert len(json.dumps(passed)) < _STATE_BYTES
    assert (passed == (LIST,)) == (n_keys > MOST_KEYS) == store.exists(LIST)
    assert listed_keys(store, passed) == keys


@pytest.mark.parametrize("body", [None, b"{}", b"[1]", b"[", b"\xff"])
def test_a_list_that_is_none_is_refused_with_its_key(body):
    """A run must not train on fewer files than were meant."""
    store = MemoryArtifacts()
    if body is not None:
        store.put(LIST, body)
    with pytest.raises(DatasetSchemaError, match=LIST):
        listed_keys(store, ("inbox/p/a.csv", LIST))
