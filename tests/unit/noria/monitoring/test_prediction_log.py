import json
from datetime import timedelta

import numpy as np
import pytest

from noria.data.versions import decode_rows, encode_rows
from noria.monitoring.prediction_log import LabelledLog, read_window
from noria.storage.hours import hour_name
from noria.storage.ids import hashed_record_id, new_prediction_id
from noria.storage.keys import answers_key, labels_key
from tests.support.production import START, Production, loan_rows

HASHED = hashed_record_id("loans", "L-1")


def _joined(p, start, end, version="v1", **more):
    settings = {"record_id_days": 7, **more}
    return LabelledLog(p.store, "loans", (start, end), **settings).of(p.reference, version)


def test_a_window_is_the_sum_of_its_chunks_and_of_its_hours_only():
    """Chunks arrive one by one and merge to what one pass would give."""
    p = Production()
    for hour in range(4):
        p.log(loan_rows(30, seed=hour), START + timedelta(hours=hour))
    window = read_window(
        p.store,
        p.reference,
        ("loans", "v1"),
        START + timedelta(hours=1),
        START + timedelta(hours=3),
    )
    assert window.n_rows == 60
    rows = loan_rows(30, seed=1) + loan_rows(30, seed=2)
    assert window.columns["x"].mean == pytest.approx(np.mean([row["x"] for row in rows]))


def test_labels_find_answers_of_any_age_by_prediction_id():
    """The id tells the hour; labels may be weeks late."""
    p = Production()
    ids = p.log(loan_rows(10), START)
    late = START + timedelta(days=40)
    p.label(ids, ["yes"] * 10, late)
    assert _joined(p, late - timedelta(hours=1), late + timedelta(hours=1)).n == 10


def test_labels_before_their_answers_are_joined_at_the_next_look():
    """Feedback may be quicker than the log's buffer."""
    p = Production()
    q = Production()
    ids = q.log(loan_rows(5), START)  # known to the caller, not yet flushed here
    p.label(ids, ["no"] * 5, START)
    end = START + timedelta(hours=1)
    assert _joined(p, START, end).n == 0
    for key, body in q.store.objects.items():
        if key.startswith("answers/"):
            p.store.put(key, body)
    assert _joined(p, START, end).n == 5


@pytest.mark.parametrize("hashed", [(), ("answers",), ("labels",), ("answers", "labels")])
def test_labels_find_answers_by_a_record_id_that_one_of_them_hashes(hashed):
    """A project begins to hash record ids, or rolls back to a version that does not."""
    p = Production()
    p.log(loan_rows(1), START)
    key = answers_key("loans", hour_name(START), "mine")
    (answer,) = decode_rows(p.store.get(next(p.store.under("answers/")).key))
    ids = {kind: HASHED if kind in hashed else "L-1" for kind in ("answers", "labels")}
    p.store.put(key, encode_rows([{**answer, "record_id": ids["answers"]}]))
    label = {"record_id": ids["labels"], "label": "yes"}
    body = {"at": START.isoformat(), "labels": [label]}
    p.store.put(labels_key("loans", hour_name(START), "l"), json.dumps(body).encode())
    assert _joined(p, START, START + timedelta(hours=2)).n == 1


def test_of_several_labels_for_one_answer_the_latest_counts_in_any_order():
    """A correction corrects; the order in which files are read does not matter."""
    p = Production()
    (key,) = p.log(loan_rows(1), START)
    p.label([key], ["no"], START + timedelta(hours=2))
    p.label([key], ["yes"], START + timedelta(hours=1))
    found = _joined(p, START, START + timedelta(hours=3))
    assert found.truth.tolist() == [0]


def test_labels_that_belong_to_no_answer_are_counted_an_hour_after_they_came():
    """Until then the answer may lie in the log's buffer."""
    p = Production()
    ids = p.log(loan_rows(2), START)
    p.label([*ids, new_prediction_id(START)], ["no"] * 3, START + timedelta(minutes=5))

    def left(at):
        log = LabelledLog(p.store, "loans", (START, at), record_id_days=7)
        return log.n_unmatched, log.n_waiting

    assert left(START + timedelta(minutes=30)) == (0, 1)
    assert left(START + timedelta(hours=2)) == (1, 0)


def test_labels_of_classes_that_the_model_does_not_know_are_counted_apart():
    """They are no mistake of the model's that its metrics could measure."""
    p = Production()
    ids = p.log(loan_rows(3), START)
    p.label(ids, ["yes", "maybe", "no"], START)
    found = _joined(p, START, START + timedelta(hours=1))
    assert (found.n, found.n_unknown) == (2, 1)


def test_only_the_answers_of_the_version_count():
    """A challenger's shadow answers share the id, not the score."""
    p = Production()
    p.add_version("v2")
    ids = p.log(loan_rows(4), START)
    p.label(ids, ["yes"] * 4, START)
    end = START + timedelta(hours=1)
    assert _joined(p, START, end).n == 4
    assert _joined(p, START, end, "v2").n == 0


def test_labels_outside_the_window_and_unlabelled_answers_are_left_out():
    """Neither right nor wrong."""
    p = Production()
    ids = p.log(loan_rows(6), START)
    p.label(ids[:2], ["yes"] * 2, START + timedelta(hours=30))
    assert _joined(p, START, START + timedelta(hours=2)).n == 0
    assert _joined(p, START + timedelta(hours=29), START + timedelta(hours=31)).n == 2


@pytest.mark.parametrize(
    "key",
    ["ffffffff-ffff-7fff-bfff-ffffffffffff", "00000000-0000-7000-8000-000000000000", "x"],
    ids=["year 10889", "1970", "no id"],
)
def test_made_up_ids_are_no_answers_and_cost_no_look(key):
    """A caller may send any id; a check must not stumble over it."""
    p = Production()
    p.log(loan_rows(2), START)
    p.label([key], ["yes"], START)
    listed = []
    under = p.store.under
    p.store.under = lambda prefix: listed.append(prefix) or under(prefix)
    assert _joined(p, START, START + timedelta(hours=1)).n == 0
    assert len(listed) < 5
