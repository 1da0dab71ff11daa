import json
from datetime import timedelta

import pytest

from noria.api.labels import MAX_LABELS, file_labels
from noria.data.targets import TargetReader
from noria.errors import InvalidInputError
from noria.records.bundle import TargetContract
from noria.storage.ids import new_prediction_id
from tests.support.fakes import FixedClock, MemoryArtifacts
from tests.support.production import START

CLASSES = TargetReader(
    "classification",
    TargetContract({"1": "yes", "0": "no", "yes": "yes", "no": "no"}, ("later",)),
    missing=("", "NA"),
    classes=("no", "yes"),
)
PRICES = TargetReader("regression", TargetContract(min=0.0, max=500.0), missing=("NA",))
ID = new_prediction_id(START)


def _file(body, store=None, *, reader=CLASSES, at=START):
    store = store if store is not None else MemoryArtifacts()
    clock = FixedClock(at)
    return file_labels("loans", body, reader=reader, artifacts=store, clock=clock), store


def _filed(store):
    (body,) = store.objects.values()
    return [label["label"] for label in json.loads(body)["labels"]]


@pytest.mark.parametrize(
    "body",
    [
        {"prediction_id": ID, "label": "yes"},
        {"record_id": "T-7", "label": "no"},
        {"labels": [{"prediction_id": ID, "label": "yes"}, {"record_id": "r", "label": "no"}]},
    ],
    ids=["prediction", "record", "many"],
)
def test_labels_are_filed_under_their_hour(body):
    """One object per request."""
    answer, store = _file(body)
    (key,) = store.objects
    assert key.startswith("labels/loans/2026-03-01T00/")
    assert answer["n_labels"] == len(json.loads(store.get(key))["labels"])


@pytest.mark.parametrize(
    ("given", "stored"), [("1", "yes"), (0, "no"), (1.0, "yes"), (" no ", "no"), ("yes", "yes")]
)
def test_a_label_is_stored_as_the_class_that_training_made_of_it(given, stored):
    """200 labels of 0 and 1 were taken, and later matched no class."""
    answer, store = _file({"prediction_id": ID, "label": given})
    assert (answer["n_labels"], _filed(store)) == (1, [stored])


def test_a_label_of_a_regression_is_a_number_in_its_range():
    """As in training: read from text too, and refused outside the target's bounds."""
    assert _filed(_file({"record_id": "r", "label": "24.5"}, reader=PRICES)[1]) == [24.5]
    for label, said in (("cheap", "must be a number"), (501, "outside"), (True, "got a boolean")):
        with pytest.raises(InvalidInputError, match=said):
            _file({"record_id": "r", "label": label}, reader=PRICES)


def test_the_same_labels_sent_again_are_the_same_object():
    """A caller that retries changes nothing."""
    body = {"prediction_id": ID, "label": "yes"}
    _, store = _file(body)
    _file(body, store)
    assert len(store.objects) == 1


def test_a_correction_that_is_taken_back_counts_as_the_latest():
    """Yes, no, yes: the truth is yes again."""
    store = MemoryArtifacts()
    for minute, label in enumerate(("yes", "no", "yes")):
        body = {"prediction_id": ID, "label": label}
        _file(body, store, at=START + timedelta(minutes=minute))
    documents = [json.loads(body) for body in store.objects.values()]
    latest = max(documents, key=lambda document: document["at"])
    assert latest["labels"][0]["label"] == "yes"


def test_good_labels_are_filed_and_bad_ones_named_one_by_one():
    """One bad label of a thousand costs that one."""
    labels = [
        {"prediction_id": ID, "label": "1"},
        {"prediction_id": ID, "label": "maybe"},
        {"record_id": "r", "label": "later"},
        {"record_id": "r", "label": "0"},
    ]
    answer, store = _file({"labels": labels})
    assert (answer["n_labels"], answer["n_refused"]) == (2, 2)
    assert [fault["field"] for fault in answer["errors"]] == ["labels.1", "labels.2"]
    assert "no class for this label" in answer["errors"][0]["reason"]
    assert "no label yet" in answer["errors"][1]["reason"]
    assert _filed(store) == ["yes", "no"]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("p1", "none that Noria gave"),
        ("ffffffff-ffff-7fff-bfff-ffffffffffff", "none that Noria gave"),
        (new_prediction_id(START + timedelta(days=2)), "none that Noria gave"),
        (new_prediction_id(START - timedelta(days=91)), "more than 90 days ago"),
    ],
    ids=["no id", "year 10889", "of the future", "too old"],
)
def test_a_prediction_id_that_can_match_no_answer_is_refused(key, said):
    """Not filed to be lost later."""
    with pytest.raises(InvalidInputError, match=said):
        _file({"prediction_id": key, "label": "yes"})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "must be {'prediction_id'"),
        ([], "must be {'prediction_id'"),
        ({"labels": []}, "list of 1 to"),
        ({"labels": [{}] * (MAX_LABELS + 1)}, "list of 1 to"),
        ({"label": "yes"}, "exactly one of"),
        ({"prediction_id": ID, "record_id": "b", "label": "yes"}, "exactly one of"),
        ({"prediction_id": ID, "label": "yes", "more": 1}, "exactly one of"),
        ({"prediction_id": "", "label": "yes"}, "1 to 100 characters"),
        ({"prediction_id": 5, "label": "yes"}, "1 to 100 characters"),
        ({"prediction_id": ID, "label": None}, "no label yet"),
        ({"prediction_id": ID, "label": True}, "got a boolean"),
        ({"prediction_id": ID, "label": float("nan")}, "finite number"),
        ({"prediction_id": ID, "label": "x" * 101}, "no class"),
    ],
)
def test_a_request_without_one_readable_label_is_refused(body, said):
    """Each with its place and reason; nothing is filed."""
    store = MemoryArtifacts()
    with pytest.raises(InvalidInputError, match=said):
        _file(body, store)
    assert not store.objects
