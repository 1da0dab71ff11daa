import json
from datetime import timedelta

import numpy as np
import pytest

from noria.data.versions import decode_rows, encode_rows
from noria.monitoring.filed_rows import FiledJob, FiledRows, cell_numbers
from noria.monitoring.labelled_log import LabelledLog
from noria.monitoring.prediction_log import answers_to, read_outputs, read_window
from noria.storage.hours import hour_name
from noria.storage.ids import hashed_record_id, new_prediction_id
from noria.storage.keys import answers_key, filed_rows_key, labels_key
from tests.support.production import START, Production, answers_of, loan_rows

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


IDS = [f"c{number}" for number in range(10)]


def test_labels_find_the_rows_of_files_by_their_record_ids():
    """Beside the answers to requests; of one job alone where that is asked for."""
    p = Production()
    rows = loan_rows(10)
    p.file_rows(rows, IDS, START)
    p.file_rows(rows[:4], [f"d{n}" for n in range(4)], START, job_id="j2")
    p.label([*IDS[:6], "d1", "nobody"], ["yes"] * 8, START + timedelta(hours=2), by="record_id")
    end = START + timedelta(hours=4)
    log = LabelledLog(p.store, "loans", (START, end), record_id_days=7)
    outcomes = log.of(p.reference, "v1")
    assert (outcomes.n, log.n_unmatched) == (7, 1)
    assert outcomes.answers.decided.tolist()[:6] == answers_of(rows).decided[:6].tolist()
    assert [(job.job_id, job.filename) for job in log.jobs] == [("j1", "j1.csv"), ("j2", "j2.csv")]
    assert [log.of(p.reference, "v1", job=job).n for job in log.jobs] == [6, 1]
    assert log.of(p.reference, "v2").n == 0


@pytest.mark.parametrize("ids", [IDS, [hashed_record_id("loans", i) for i in IDS]])
def test_labels_find_rows_whose_ids_are_hashes_hashed_or_not(ids):
    """As those of personal ids are, and those of all ids that an earlier version filed."""
    p = Production()
    p.file_rows(loan_rows(10), IDS, START, are_private=True)
    p.label(ids, ["yes"] * 10, START + timedelta(hours=2), by="record_id")
    assert _joined(p, START, START + timedelta(hours=4)).n == 10
    end = START + timedelta(days=1)
    assert [a.line for a in answers_to(p.store, "loans", ids[3], START, end)] == [5]


def test_a_record_that_two_files_hold_counts_once_as_answered_last():
    """And where only requests count, not at all."""
    p = Production()
    p.file_rows(loan_rows(10, seed=1), IDS, START)
    p.file_rows(loan_rows(10, seed=2), IDS, START + timedelta(hours=1), job_id="j2")
    p.label(IDS, ["no"] * 10, START + timedelta(hours=2), by="record_id")
    window = (START, START + timedelta(hours=3))
    log = LabelledLog(p.store, "loans", window, record_id_days=7)
    assert [job.job_id for job in log.jobs] == ["j2"]
    assert log.of(p.reference, "v1").n == 10
    assert _joined(p, *window, with_batches=False).n == 0


def test_of_two_answers_in_one_hour_the_later_one_counts():
    """Whatever the jobs are called: a mended file is often sent within the hour."""
    p = Production()
    p.file_rows(loan_rows(10, seed=1), IDS, START + timedelta(minutes=50), job_id="aaa")
    p.file_rows(loan_rows(10, seed=2), IDS, START + timedelta(minutes=5), job_id="zzz")
    p.label(IDS, ["no"] * 10, START + timedelta(hours=2), by="record_id")
    window = (START, START + timedelta(hours=3))
    log = LabelledLog(p.store, "loans", window, record_id_days=7)
    assert [job.job_id for job in log.jobs] == ["aaa"]
    found = answers_to(p.store, "loans", "c3", *window)
    assert [answer.job.job_id for answer in found] == ["zzz", "aaa"]


def test_rows_that_are_no_evidence_have_their_labels_and_decide_nothing():
    """A file that the model was trained on is measured by itself, and is no news of the champion."""
    p = Production()
    p.file_rows(loan_rows(10), IDS, START, is_evidence=False)
    p.label(IDS, ["no"] * 10, START + timedelta(hours=2), by="record_id")
    end = START + timedelta(hours=3)
    log = LabelledLog(p.store, "loans", (START, end), record_id_days=7)
    assert (log.of(p.reference, "v1").n, log.n_unmatched) == (0, 0)
    assert [log.of(p.reference, "v1", job=job).n for job in log.jobs] == [10]
    assert len(read_outputs(p.store, ("loans", "v1"), START, end, most=100)) == 0


def test_probabilities_that_were_corrected_already_are_not_estimated_of_again():
    """Class shares of corrected scores would be corrected twice."""
    p = Production()
    p.file_rows(loan_rows(10), IDS, START, is_corrected=True)
    end = START + timedelta(hours=1)
    assert len(read_outputs(p.store, ("loans", "v1"), START, end, most=100)) == 0


def _two_ids(p):
    """File two rows of a customer and a contract each; the contract of one is the other's id."""
    answers = answers_of(loan_rows(2))
    numbers = np.stack([cell_numbers(["1001", "2002"]), cell_numbers(["2002", "9"])], axis=1)
    job = FiledJob("j1", "j1.csv", "v1", START.isoformat(), is_evidence=True)
    rows = FiledRows(
        job, ("no", "yes"), ("customer", "contract"), numbers, np.array([2, 3]),
        answers.outputs, np.asarray(answers.decided),
    )  # fmt: skip
    p.store.put(filed_rows_key("loans", hour_name(START), "j1", 0), rows.to_bytes())


def _label_of(p, record_id, label, minutes, column=None):
    at = START + timedelta(minutes=minutes)
    filed = {"record_id": record_id, "label": label, **({"id_column": column} if column else {})}
    body = json.dumps({"at": at.isoformat(), "labels": [filed]}).encode()
    p.store.put(labels_key("loans", hour_name(at), f"l{minutes}"), body)


def _labelled_lines(p):
    log = LabelledLog(p.store, "loans", (START, START + timedelta(hours=3)), record_id_days=7)
    return {answer.line: known.label for answer, known in log._joined.values()}, log.n_unmatched


@pytest.mark.parametrize(
    ("column", "lines"), [("contract", {2}), ("customer", {3}), (None, {2, 3})]
)
def test_a_label_of_a_column_is_of_rows_with_its_id_there(column, lines):
    """Without a column, of all rows that have the id anywhere."""
    p = Production()
    _two_ids(p)
    _label_of(p, "2002", "yes", 30, column)
    assert set(_labelled_lines(p)[0]) == lines


def test_of_labels_by_two_ids_of_one_row_the_latest_counts_and_none_is_unmatched():
    """By whichever id it came."""
    p = Production()
    _two_ids(p)
    _label_of(p, "1001", "no", 10, "customer")
    _label_of(p, "2002", "yes", 20, "contract")
    assert _labelled_lines(p) == ({2: "yes"}, 0)


def test_of_many_labelled_answers_a_seeded_sample_draws_the_interval():
    """A million labels are no reason to draw 500 times a million rows."""
    p = Production()
    p.file_rows(loan_rows(10), IDS, START)
    p.label(IDS, ["no"] * 10, START, by="record_id")
    outcomes = _joined(p, START, START + timedelta(hours=1))
    few = outcomes.sampled(4)
    assert (few.n, outcomes.sampled(10)) == (4, outcomes)
    assert few.truth.tolist() == outcomes.sampled(4).truth.tolist()


def test_what_was_said_of_a_record_is_found_in_requests_and_files():
    """Which version, when, in which line of which file; other records are not."""
    p = Production()
    rows = loan_rows(10)
    p.file_rows(rows, IDS, START)
    p.file_rows(rows, IDS, START + timedelta(days=3), job_id="late", version="v2")
    found = list(answers_to(p.store, "loans", "c3", START, START + timedelta(days=2)))
    (answer,) = found
    assert (answer.model_version, answer.job.filename, answer.line) == ("v1", "j1.csv", 5)
    assert answer.outputs == tuple(answers_of(rows).outputs[3].tolist())
    both = answers_to(p.store, "loans", "c3", START, START + timedelta(days=4))
    assert [a.model_version for a in both] == ["v1", "v2"]
    (prediction_id,) = p.log(rows[:1], START)
    line = next(k for k in p.store.objects if k.startswith("answers/") and k.endswith(".gz"))
    (asked,) = decode_rows(p.store.get(line))
    p.store.put(line, encode_rows([{**asked, "record_id": hashed_record_id("loans", "c3")}]))
    found = list(answers_to(p.store, "loans", "c3", START, START + timedelta(days=1)))
    assert {a.prediction_id for a in found} == {None, prediction_id}


def test_the_outputs_of_files_count_beside_those_of_requests():
    """Class shares are estimated of both, as the window's profile is."""
    p = Production()
    p.file_rows(loan_rows(10), IDS, START)
    p.file_rows(loan_rows(5), IDS[:5], START, job_id="j2", version="v2")
    p.log(loan_rows(3), START)
    end = START + timedelta(hours=1)
    assert read_outputs(p.store, ("loans", "v1"), START, end, most=100).shape == (13, 2)
    assert read_outputs(p.store, ("loans", "v3"), START, end, most=100).shape == (0, 0)
