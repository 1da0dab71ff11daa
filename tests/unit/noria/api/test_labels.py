import json
from datetime import timedelta

import pytest

from noria.api.labels import MAX_LABELS, file_labels
from noria.errors import InvalidInputError
from tests.support.fakes import FixedClock, MemoryArtifacts
from tests.support.production import START


def _file(body, store=None):
    store = store if store is not None else MemoryArtifacts()
    return file_labels("loans", body, artifacts=store, clock=FixedClock(START)), store


@pytest.mark.parametrize(
    "body",
    [
        {"prediction_id": "p1", "label": "yes"},
        {"record_id": "T-7", "label": 3.5},
        {"labels": [{"prediction_id": "p1", "label": "yes"}, {"record_id": "r", "label": "no"}]},
    ],
    ids=["prediction", "record", "many"],
)
def test_labels_are_filed_under_their_hour(body):
    """One object per request."""
    answer, store = _file(body)
    (key,) = store.objects
    assert key.startswith("labels/loans/2026-03-01T00/")
    assert answer["n_labels"] == len(json.loads(store.get(key))["labels"])


def test_the_same_labels_sent_again_are_the_same_object():
    """A caller that retries changes nothing."""
    body = {"prediction_id": "p1", "label": "yes"}
    _, store = _file(body)
    _file(body, store)
    assert len(store.objects) == 1


def test_a_correction_that_is_taken_back_counts_as_the_latest():
    """A, B, A: the truth is A again."""
    store = MemoryArtifacts()
    for minute, label in enumerate(("A", "B", "A")):
        clock = FixedClock(START + timedelta(minutes=minute))
        body = {"prediction_id": "p1", "label": label}
        file_labels("loans", body, artifacts=store, clock=clock)
    documents = [json.loads(body) for body in store.objects.values()]
    latest = max(documents, key=lambda document: document["at"])
    assert latest["labels"][0]["label"] == "A"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "must be {'prediction_id'"),
        ([], "must be {'prediction_id'"),
        ({"labels": []}, "list of 1 to"),
        ({"labels": [{}] * (MAX_LABELS + 1)}, "list of 1 to"),
        ({"label": "yes"}, "exactly one of"),
        ({"prediction_id": "a", "record_id": "b", "label": "yes"}, "exactly one of"),
        ({"prediction_id": "a", "label": "yes", "more": 1}, "exactly one of"),
        ({"prediction_id": "", "label": "yes"}, "1 to 100 characters"),
        ({"prediction_id": 5, "label": "yes"}, "1 to 100 characters"),
        ({"prediction_id": "a", "label": None}, "a class name"),
        ({"prediction_id": "a", "label": True}, "a class name"),
        ({"prediction_id": "a", "label": float("nan")}, "a class name"),
        ({"prediction_id": "a", "label": "x" * 101}, "a class name"),
        ({"labels": [{"prediction_id": "a", "label": "ok"}, {"label": 1}]}, "labels.1"),
    ],
)
def test_labels_that_cannot_be_read_are_refused_whole(body, said):
    """Each with its place and reason; nothing is kept of the request."""
    store = MemoryArtifacts()
    with pytest.raises(InvalidInputError, match=said):
        _file(body, store)
    assert not store.objects
