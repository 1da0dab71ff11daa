"""Estimates without labels against the labels they could not see."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from noria.evaluation.metrics import Answers, measure
from noria.monitoring.error_model import fit_error_model
from noria.monitoring.performance import (
    _share_beyond,
    drop,
    estimated,
    judged,
    outside_columns,
    realised,
)
from noria.monitoring.profiles import NumberProfile, number_edges
from noria.monitoring.reference import OutOfFoldFacts, as_answers, as_records, build_reference
from noria.records.prediction import Answer
from tests.support.production import (
    CLASSES,
    START,
    WORDS,
    Production,
    answers_of,
    loan_rows,
    loan_spec,
    records_of,
)


def _reference(n=4000):
    rows = loan_rows(n, seed=1)
    answers = answers_of(rows)
    truth = Production.truth(rows, seed=2)
    names = ("accuracy", "f1_macro", "roc_auc")
    scores = {name: measure(name, truth, answers) for name in names}
    facts = OutOfFoldFacts(CLASSES, [*as_answers(CLASSES, answers)], scores)
    return build_reference(loan_spec(), rows, WORDS, facts)


def _window(reference, rows):
    return reference.of(records_of(rows))


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "roc_auc"])
def test_intervals_cover_what_labels_would_say(metric):
    """At least nine of ten windows without drift, 200 rows each."""
    reference, covered = _reference(), 0
    for seed in range(100, 160):
        rows = loan_rows(200, seed=seed)
        found = estimated(metric, reference, _window(reference, rows))
        value = measure(metric, Production.truth(rows, seed=seed + 1000), answers_of(rows))
        covered += found.low <= value <= found.high
    assert covered >= 54


def test_harder_inputs_lower_the_estimate_as_they_lower_the_truth():
    """Covariate drift: rows near the boundary."""
    reference = _reference()
    rows = [{**row, "x": row["x"] * 0.2} for row in loan_rows(1000, seed=7)]
    found = estimated("accuracy", reference, _window(reference, rows))
    value = measure("accuracy", Production.truth(rows, seed=8), answers_of(rows))
    seems, at_least = drop(found)
    assert seems > 0.1
    assert at_least > 0.0
    assert found.value == pytest.approx(value, abs=0.05)


def test_a_metric_that_cannot_be_estimated_has_no_estimate():
    """Nothing is better than a guess that looks like one."""
    reference = _reference()
    assert estimated("log_loss", reference, _window(reference, loan_rows(100))) is None
    assert estimated("accuracy", reference, reference.empty()) is None


def test_realised_is_the_metric_with_its_bootstrap():
    """And the reference beside it."""
    reference, rows = _reference(), loan_rows(300, seed=4)
    truth = Production.truth(rows, seed=5)
    found = realised("accuracy", reference, answers_of(rows), truth)
    assert found.value == measure("accuracy", truth, answers_of(rows))
    assert found.low < found.value < found.high
    assert found.reference == reference.scores["accuracy"]


def _regression(n, seed, *, spread=1.0):
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(0, 10, n)
    truth = predicted + rng.normal(0, 0.2 + 0.2 * predicted, n) * spread
    return predicted, truth


def test_a_regressions_error_is_estimated_from_the_size_of_its_predictions():
    """Errors grow with the value; a window of high values has a greater error."""
    predicted, truth = _regression(5000, 1)
    answers = Answers(predicted[:, None], None)
    scores = {name: measure(name, truth, answers) for name in ("rmse", "mae", "r2")}
    rows = loan_rows(100)
    reference = build_reference(
        loan_spec(), rows, {"note": []},
        OutOfFoldFacts((), [*as_answers((), answers)], scores, fit_error_model(truth, predicted)),
    )  # fmt: skip
    covered = 0
    for seed in range(40):
        now, real = _regression(300, 100 + seed)
        window = reference.of(as_records([Answer(v) for v in now.tolist()]))
        found = estimated("rmse", reference, window)
        covered += found.low <= measure("rmse", real, Answers(now[:, None], None)) <= found.high
    assert covered >= 36
    high = as_records([Answer(8.0 + v / 10) for v in now.tolist()])
    assert estimated("rmse", reference, reference.of(high)).value > 1.3 * scores["rmse"]


def test_a_drop_has_the_direction_of_the_metric():
    """Less accuracy is a drop; a greater error is one too."""
    p = Production()
    at = START + timedelta(minutes=1)
    p.log(loan_rows(200), at)
    rows = loan_rows(200)
    good = realised("accuracy", p.reference, answers_of(rows), p.truth(rows, seed=1))
    bad = realised("accuracy", p.reference, answers_of(rows), 1 - p.truth(rows, seed=1))
    assert drop(good)[0] < 0.1 < drop(bad)[0]
    assert drop(bad)[1] > 0.0


def _month_of_labels(rng, n_tested, n_checks=30, n=400):
    """Return what each check of a month finds of a model that does as it did on its test rows.

    Half of a check's labels are new. On the test rows the model may have been lucky.
    """
    answers, truth = np.zeros((2 * n_checks * n, 2)), rng.integers(0, 2, 2 * n_checks * n)
    is_right = rng.random(len(truth)) < 0.8
    decided = np.where(is_right, truth, 1 - truth)
    reference = replace(
        _reference(200), tested={"accuracy": rng.binomial(n_tested, 0.8) / n_tested},
        n_tested=n_tested,
    )  # fmt: skip
    for start in range(0, n_checks * n // 2, n // 2):
        part = slice(start, start + n)
        given = Answers(answers[part], decided[part])
        yield realised("accuracy", reference, given, truth[part], n_judged=6, replicates=250)


def test_a_model_that_does_as_it_did_is_not_called_degraded_however_often_one_looks():
    """Ten months of looking; the control takes the score on 300 test rows for exact, once."""
    rng = np.random.default_rng(4)
    months = [[*_month_of_labels(rng, 300)] for _ in range(10)]
    called = sum(any(judged(f, 0.05, alarms=0.001).is_degraded for f in found) for found in months)
    exact = [[replace(f, n_reference=0) for f in found] for found in months]
    control = sum(any(judged(f, 0.05).is_degraded for f in found) for found in exact)
    assert called == 0
    assert control >= 3


def test_a_collapse_is_still_seen_on_few_labels():
    """Of .8 to .6, on 400 labels and 300 test rows."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, 400)
    decided = np.where(rng.random(400) < 0.6, truth, 1 - truth)
    reference = replace(_reference(200), tested={"accuracy": 0.8}, n_tested=300)
    found = realised("accuracy", reference, Answers(np.zeros((400, 2)), decided), truth, n_judged=6)
    assert judged(found, 0.05, alarms=0.001).is_degraded


@pytest.mark.parametrize("n", [300, 6000])
@pytest.mark.parametrize(
    ("change", "outside"),
    [
        ({}, []),
        ({"x": lambda x: 0.5 + 0.5 * x}, []),
        ({"x": lambda x: x + 8.0}, ["x"]),
        ({"kind": lambda _: "boat"}, ["kind"]),
        ({"kind": lambda _: "car"}, []),
    ],
    ids=["usual", "moved inside", "beyond", "unseen level", "one level only"],
)
def test_outside_training_is_what_no_training_row_was_like(change, outside, n):
    """Another share of what training knew is drift, and its estimate can be trusted."""
    reference = _reference()
    rows = [
        {**row, **{name: do(row[name]) for name, do in change.items()}}
        for row in loan_rows(n, seed=5)
    ]
    window = reference.empty()
    for start in range(0, n, 250):  # as the log's chunks come: 6,000 rows keep no values
        window.add(_window(reference, rows[start : start + 250]))
    assert outside_columns(window, reference, 0.1) == outside


def test_a_column_of_two_numbers_is_not_outside_when_their_shares_move():
    """Its greatest value is a bin of its own: a third of the rows lay in it, then two thirds."""
    edges = np.array(number_edges([0.0] * 200 + [1.0] * 100))
    then = NumberProfile.of(edges, [0.0] * 200 + [1.0] * 100)
    now = NumberProfile.of(edges, [0.0] * 100 + [1.0] * 200, keep=0)
    beyond = NumberProfile.of(edges, [0.0] * 100 + [7.0] * 200, keep=0)
    assert _share_beyond(now, then) == 0.0
    assert _share_beyond(beyond, then) > 0.3


def test_an_estimate_stays_in_the_range_of_its_metric():
    """An F1 of 1.02 was shown: the method's own error on the training rows is taken off."""
    reference = replace(_reference(), scores={"accuracy": 0.99, "f1_macro": 0.99})
    sure = [{**row, "x": 4.0 * row["x"]} for row in loan_rows(500, seed=3)]
    found = estimated("f1_macro", reference, _window(reference, sure))
    assert found.low <= found.value <= found.high <= 1.0
