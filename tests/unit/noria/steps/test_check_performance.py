"""Quality of the champion, with and without labels."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from noria.evaluation.metrics import measure
from noria.records.codec import from_bytes
from noria.records.performance import JobPerformance, PerformanceReport
from noria.reporting.words import performance_text
from noria.spec.operations import GateSection
from tests.support.checks import decided, new_file, whole_check
from tests.support.production import START, Production, answers_of, loan_rows
from tests.support.trained import tiny_bundle


def test_performance_is_measured_on_labels_and_estimated_without():
    """Labels that come in time, of this champion's answers."""
    p = Production()
    rows = loan_rows(400, seed=77)
    ids = p.log(rows, START + timedelta(minutes=5))
    at = START + timedelta(hours=30)
    p.label(ids[:200], ["yes" if t else "no" for t in p.truth(rows[:200], seed=5)], at)
    # The rows are older than the window of answers: only labels tell of them.
    p.hours(10, start=START + timedelta(hours=20))
    _, performance, _ = decided(p, at + timedelta(hours=1))
    assert performance.n_labels == 200
    assert performance.verdict == "good"
    assert performance.estimated_verdict == "good"


def test_a_changed_relation_is_seen_on_labels_only():
    """Concept drift: the inputs look as ever, the answers are wrong."""
    p = Production()
    rows = loan_rows(300, seed=78)
    at = START + timedelta(hours=2)
    ids = p.log(rows, START + timedelta(minutes=5))
    p.label(ids, ["yes" if t else "no" for t in p.truth(rows, seed=5, flip=True)], at)
    new_file(p)
    drift, performance, decision = decided(p, at + timedelta(minutes=30))
    assert drift.verdict == "stable"
    assert (performance.verdict, performance.estimated_verdict) == ("degraded", "good")
    assert decision.retrain
    assert (decision.codes, decision.how) == (("performance", "calibration"), "train")


def test_too_few_labels_are_insufficient():
    """49 are not 50."""
    p = Production()
    ids = p.log(loan_rows(60), START)
    p.label(ids[:49], ["no"] * 49, START + timedelta(hours=1))
    _, performance, _ = decided(p, START + timedelta(hours=2))
    assert performance.verdict == "insufficient_data"


def _report(p, performance):
    return from_bytes(PerformanceReport, p.store.get(performance.performance_key))


def _labelled(p, n=600, *, answer=None):
    """Log answers, file their true labels, and return when."""
    rows = loan_rows(n, seed=78)
    ids = p.log(rows, START + timedelta(minutes=5), answer=answer)
    at = START + timedelta(hours=1)
    p.label(ids, ["yes" if t else "no" for t in p.truth(rows, seed=5)], at)
    return at + timedelta(minutes=30)


@pytest.mark.parametrize(("answer", "verdict"), [(None, "good"), ("yes", "degraded")])
def test_decisions_are_judged_beside_a_ranking_that_holds(answer, verdict):
    """Labels said disaster and the page said good: only ROC AUC was looked at."""
    p = Production(evaluation={"primary_metric": "roc_auc"})
    _, performance, _ = decided(p, _labelled(p, answer=answer))
    report = _report(p, performance)
    assert performance.verdict == verdict
    assert not report.realised["roc_auc"].is_degraded
    assert report.worst == (None if answer is None else "f1_macro")
    assert report.realised["f1_macro"].confidence == pytest.approx(1 - 0.05 / 3)


@pytest.mark.parametrize(
    ("reference", "answer", "broken"), [(0.9, None, None), (0.9, "no", 0.7), (0.6, "no", None)]
)
def test_a_champion_that_keeps_its_bound_no_longer_is_degraded(reference, answer, broken):
    """Surely below it, after test rows on which it was not: however much of a drop is allowed."""
    bounds = (GateSection(metric="accuracy", min=0.7),)
    p = Production(monitoring={"bounds": bounds, "max_drop": 0.6, "watch": ("accuracy",)})
    p.reference = replace(p.reference, tested={**p.reference.tested, "accuracy": reference})
    p.add_version("v2")
    p.promote("v2", at=START)
    rows, at = loan_rows(600, seed=78), START + timedelta(hours=1)
    ids = p.log(rows, START + timedelta(minutes=5), answer=answer, version="v2")
    p.label(ids, ["yes" if t else "no" for t in p.truth(rows, seed=5)], at)
    _, performance, _ = decided(p, at + timedelta(minutes=30))
    report = _report(p, performance)
    found = report.realised["accuracy"]
    assert (found.is_degraded, found.broken_bound) == (broken is not None, broken)
    assert (("performance", found) in report.degraded()) == (broken is not None)
    assert performance_text(found).endswith("beyond its bound 0.7") == (broken is not None)


def test_probabilities_that_are_no_longer_true_degrade_the_model():
    """Its ranking and its classes may hold: what it says of its own sureness does not."""
    p = Production(monitoring={"watch": ("calibration_error",), "max_drop": 0.1})
    rows = loan_rows(600, seed=78)
    ids = p.log(rows, START + timedelta(minutes=5))
    at = START + timedelta(hours=1)
    p.label(ids, ["yes" if row["x"] > 0 else "no" for row in rows], at)  # surer than it says
    _, performance, _ = decided(p, at + timedelta(minutes=30))
    assert (performance.verdict, _report(p, performance).worst) == ("degraded", "calibration_error")


def test_a_calibration_error_of_few_rows_is_chance():
    """50 labels of a perfectly calibrated model have an error of 0.1."""
    for seed in range(10):
        p = Production(monitoring={"watch": ("calibration_error",)})
        rows = loan_rows(60, seed=300 + seed)
        ids = p.log(rows, START + timedelta(minutes=5))
        at = START + timedelta(hours=1)
        p.label(ids, ["yes" if t else "no" for t in p.truth(rows, seed=seed)], at)
        _, performance, _ = decided(p, at + timedelta(minutes=30))
        assert performance.verdict == "good"


def test_an_estimate_of_inputs_outside_training_is_not_trusted():
    """Probabilities of rows that no row of training is like say nothing."""
    p = Production()
    p.log(loan_rows(300, seed=79, shift=6.0), START + timedelta(minutes=5))
    _, performance, _, report = whole_check(p, START + timedelta(hours=1))
    assert performance.estimated_verdict == "untrusted"
    assert _report(p, performance).outside == ("x",)
    assert report.health == "unhealthy"  # of the drift
    page = p.store.get(report.report_key).decode()
    assert "estimates without labels are not trusted: values of x lie outside training" in page


def _two_days(*, flip_second_day):
    """Answer and label 400 rows today and 400 yesterday, all labels coming today."""
    p = Production()
    for day, flip in enumerate((False, flip_second_day)):
        rows = loan_rows(400, seed=400 + day)
        ids = p.log(rows, START + timedelta(days=day, minutes=5))
        truth = ["yes" if t else "no" for t in p.truth(rows, seed=day, flip=flip)]
        p.label(ids, truth, START + timedelta(days=1, hours=1))
    _, performance, _ = decided(p, START + timedelta(days=1, hours=2))
    return performance, _report(p, performance)


def test_a_collapse_of_the_last_day_does_not_hide_among_earlier_labels():
    """Both are judged, with intervals for both."""
    performance, report = _two_days(flip_second_day=True)
    assert performance.verdict == "degraded"
    assert report.recent["accuracy"].value < 0.3 < report.realised["accuracy"].value
    assert report.n_recent_labels == 400
    assert next((code, part.metric) for code, part in report.degraded()) == (
        "performance",
        "accuracy",
    )
    assert {part.n_rows for _, part in report.degraded()} == {400}
    calm, usual = _two_days(flip_second_day=False)
    assert (calm.verdict, usual.recent["accuracy"].is_degraded) == ("good", False)


def test_labels_of_the_window_alone_are_judged_once():
    """There are no earlier ones to hide among."""
    p = Production()
    _, performance, _ = decided(p, _labelled(p))
    report = _report(p, performance)
    assert (report.recent, report.n_recent_labels) == ({}, 600)


def test_class_shares_of_the_window_are_estimated_without_labels():
    """Half of the rows were "yes" in training; of these answers nine tenths are."""
    p = Production()
    rows = loan_rows(3000, seed=80)
    truth = p.truth(rows, seed=5)
    yes = [row for row, is_yes in zip(rows, truth, strict=True) if is_yes]
    no = [row for row, is_yes in zip(rows, truth, strict=True) if not is_yes]
    p.log(yes[:900] + no[:100], START + timedelta(minutes=5))
    _, performance, _, report = whole_check(p, START + timedelta(hours=1))
    shares = _report(p, performance).class_shares
    assert (shares.n_rows, shares.training["yes"]) == (1000, pytest.approx(0.5, abs=0.03))
    assert shares.estimated["yes"] == pytest.approx(0.9, abs=0.04)
    assert shares.p_value < 1e-6
    assert "estimated without labels (right as long as" in p.store.get(report.report_key).decode()


def test_quality_is_estimated_for_the_class_shares_of_the_window_where_the_spec_says_so():
    """The rare class costs macro-F1; probabilities for as many of each do not know of it."""
    estimates, true = {}, 0.0
    for known in ((0.5, 0.5), ()):
        p = Production(decision={"prior_shift": "correct"})
        bundle = tiny_bundle(
            task="classification",
            classes=["no", "yes"],
            model={
                "form": "linear",
                "link": "softmax",
                "n_outputs": 1,
                "calibration": {"slope": 1.0, "shift": [0.0, 0.0]},
            },
            decision_weights=[1.0, 1.0],
            decision_known_shares=list(known),
        )
        p.add_version("v2", bundle)
        p.promote("v2", at=START)
        rows = loan_rows(6000, seed=80)
        truth = p.truth(rows, seed=5)
        yes, no = (np.flatnonzero(truth == side).tolist() for side in (1, 0))
        taken = [*yes[:1900], *no[:100]]
        kept = [rows[place] for place in taken]
        true = measure("f1_macro", truth[taken], answers_of(kept))
        p.log(kept, START + timedelta(minutes=5), version="v2")
        _, performance, _ = decided(p, START + timedelta(hours=1))
        estimates[known] = _report(p, performance).estimated["f1_macro"].value
    assert estimates[0.5, 0.5] == pytest.approx(true, abs=0.04)
    # Control: a model of which training says that a correction does not help.
    assert abs(estimates[()] - true) > 0.1


def test_too_few_answers_have_no_class_shares():
    """Insufficient data is said by saying nothing."""
    p = Production()
    p.log(loan_rows(60), START + timedelta(minutes=5))
    _, performance, _ = decided(p, START + timedelta(hours=1))
    assert _report(p, performance).class_shares is None


def _file_with_labels(p, n, *, at=START, job_id="j1", flip=False):
    """File the answers to a batch and labels of its first `n` rows; return when."""
    rows = loan_rows(300, seed=41)
    ids = [f"{job_id}-{number}" for number in range(len(rows))]
    p.file_rows(rows, ids, at, job_id=job_id)
    truth = ["yes" if t else "no" for t in p.truth(rows, seed=5, flip=flip)]
    p.label(ids[:n], truth[:n], at + timedelta(hours=1), by="record_id")
    return at + timedelta(hours=2)


def _of_job(p, job_id="j1"):
    return from_bytes(JobPerformance, p.store.get(f"batches/loans/{job_id}/performance.json"))


def test_each_batch_is_measured_on_the_labels_of_its_rows():
    """And all of them count for the champion."""
    p = Production()
    _file_with_labels(p, 300)
    at = _file_with_labels(p, 200, at=START + timedelta(hours=1), job_id="bad", flip=True)
    _, performance, _ = decided(p, at)
    report = _report(p, performance)
    assert (report.n_labels, report.verdict) == (500, "degraded")
    assert [(job.filename, job.n_labels) for job in report.jobs] == [
        ("j1.csv", 300),
        ("bad.csv", 200),
    ]
    assert report.changed_jobs == ("j1", "bad")
    good, bad = (job.realised["accuracy"] for job in report.jobs)
    assert (good.is_degraded, bad.is_degraded) == (False, True)
    assert report.jobs == (_of_job(p), _of_job(p, "bad"))


def test_a_batch_with_few_labels_is_insufficient_data():
    """Never good."""
    p = Production()
    at = _file_with_labels(p, 49)
    decided(p, at)
    assert (_of_job(p).n_labels, _of_job(p).realised) == (49, {})


def test_labels_that_leave_the_window_do_not_take_the_measure_with_them():
    """What was measured on more labels stays, and is told as no news."""
    p = Production()
    at = _file_with_labels(p, 300)
    decided(p, at)
    measured = _of_job(p)
    late = at + timedelta(hours=p.spec.monitoring.label_hours)
    p.label(["j1-299"], ["no"], late - timedelta(hours=1), by="record_id")
    _, performance, _ = decided(p, late)
    report = _report(p, performance)
    assert (report.n_labels, report.jobs, report.changed_jobs) == (1, (measured,), ())
    assert _of_job(p) == measured


def test_a_version_that_cannot_be_read_any_more_does_not_stop_the_check():
    """Its files are measured no more; the champion is."""
    p = Production()
    at = _file_with_labels(p, 300)
    rows = loan_rows(60, seed=3)
    ids = [f"old-{number}" for number in range(60)]
    p.file_rows(rows, ids, START, job_id="old", version="v0")
    p.label(ids, ["no"] * 60, START + timedelta(hours=1), by="record_id")
    _, performance, _ = decided(p, at)
    report = _report(p, performance)
    assert (report.n_labels, [job.job_id for job in report.jobs]) == (300, ["j1"])
