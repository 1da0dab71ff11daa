"""A new champion held against the one before: how surely, how often wrongly, and by what loss."""

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from noria.evaluation.metrics import Answers, measure
from noria.monitoring.labelled_log import LabelledLog, LabelledPair
from noria.monitoring.prediction_log import KnownAnswer
from noria.monitoring.probation import differences, evidence_of_harm
from tests.support.production import START, Production, loan_rows

_NEEDED = 100.0  # of a risk of one in a hundred


def _looks(p_worse: float, p_better: float, *, n: int, seed: int) -> np.ndarray:
    """Return differences of decided classes: how often either alone is wrong."""
    rng = np.random.default_rng(seed)
    return rng.choice([1.0, -1.0, 0.0], n, p=[p_worse, p_better, 1.0 - p_worse - p_better])


def _is_taken_back(found: np.ndarray, every: int = 50) -> bool:
    ends = range(every, len(found) + 1, every)
    return any(evidence_of_harm(found[:end]) >= _NEEDED for end in ends)


def _is_taken_back_by_intervals(found: np.ndarray, every: int = 50) -> bool:
    """The control: the usual interval at 99 %, looked at again and again."""
    for end in range(every, len(found) + 1, every):
        seen = found[:end]
        if seen.mean() > 2.326 * seen.std(ddof=1) / np.sqrt(end):
            return True
    return False


def test_of_500_equal_champions_at_most_one_in_a_hundred_is_taken_back_however_often_one_looks():
    """Sixty looks at 3,000 labels each; a rule of repeated intervals takes back far more."""
    rounds = [_looks(0.08, 0.08, n=3000, seed=seed) for seed in range(500)]
    assert sum(map(_is_taken_back, rounds)) <= 5
    assert sum(map(_is_taken_back_by_intervals, rounds)) > 25


@pytest.mark.parametrize(("points", "n_labels"), [(5, 3000), (10, 1000)])
def test_a_worse_champion_is_taken_back(points, n_labels):
    """Nine in ten at least, by so many labels."""
    worse = 0.08 + points / 100
    rounds = [_looks(worse, 0.08, n=n_labels, seed=seed) for seed in range(100)]
    assert sum(map(_is_taken_back, rounds)) >= 90


def test_a_better_champion_stays():
    """The evidence against it vanishes."""
    assert evidence_of_harm(_looks(0.05, 0.10, n=3000, seed=1)) < 1e-3


def _reference(classes, shares=None):
    expected = np.diag(shares or np.ones(max(len(classes), 1)))
    return SimpleNamespace(classes=tuple(classes), out_of_fold=SimpleNamespace(expected=expected))


def _pair(label, champion, previous):
    said = [
        KnownAnswer(START, version, prediction, outputs)
        for version, (prediction, outputs) in zip("ab", (champion, previous), strict=True)
    ]
    return LabelledPair(*said, label)


def test_decided_classes_count_by_whether_they_are_right():
    """Of a mean over classes those of a rare one weigh more; unknown labels say nothing."""
    both = (_reference(["no", "yes"], [90.0, 10.0]),) * 2
    pairs = [
        _pair("no", ("yes", (0.4, 0.6)), ("no", (0.6, 0.4))),
        _pair("yes", ("yes", (0.4, 0.6)), ("no", (0.6, 0.4))),
        _pair("no", ("no", (0.9, 0.1)), ("no", (0.6, 0.4))),
        _pair("maybe", ("no", (0.9, 0.1)), ("yes", (0.4, 0.6))),
    ]
    assert differences("accuracy", both, pairs).tolist() == [1.0, -1.0, 0.0]
    assert differences("f1_macro", both, pairs) == pytest.approx([1 / 9, -1.0, 0.0])


def test_a_ranking_counts_pairs_so_that_the_mean_is_the_difference_of_roc_auc():
    """Of independent pairs: of many rows it comes close."""
    rng = np.random.default_rng(4)
    n = 20_000
    truth = rng.integers(0, 2, n)
    good, bad = truth + rng.normal(0.0, 1.0, n), truth + rng.normal(0.0, 2.0, n)
    good, bad = (1.0 / (1.0 + np.exp(-score)) for score in (good, bad))
    pairs = [
        _pair("ny"[t], ("n", (1 - b, b)), ("n", (1 - g, g)))
        for t, b, g in zip(truth.tolist(), bad.tolist(), good.tolist(), strict=True)
    ]
    found = differences("roc_auc", (_reference("ny"),) * 2, pairs)
    exact = [
        measure("roc_auc", truth, Answers(np.stack([1 - s, s], axis=1), None)) for s in (good, bad)
    ]
    assert len(found) == min(truth.sum(), n - truth.sum())
    assert found.mean() == pytest.approx(exact[0] - exact[1], abs=0.02)


def test_probabilities_count_by_their_distance_from_the_truth():
    """Models may know other classes, in another order; without a pair there is nothing."""
    pairs = [_pair("a", ("a", (0.5, 0.5)), ("a", (0.0, 1.0)))]
    both = _reference(["a", "b"]), _reference(["b", "a"])
    assert differences("log_loss", both, pairs).tolist() == [0.25]
    assert len(differences("log_loss", both, [])) == 0
    three = (_reference("abc"),) * 2
    assert differences(
        "roc_auc", three, [_pair("a", ("a", (1.0, 0.0, 0.0)), ("b", (0.0, 1.0, 0.0)))]
    ).tolist() == [-1.0]


@pytest.mark.parametrize(("metric", "expected"), [("mae", 1 / 3), ("rmse", 3 / 5)])
def test_values_count_by_their_errors_and_one_outlier_decides_nothing(metric, expected):
    """The difference over the sum; equal errors, and none at all, are no difference."""
    both = (_reference(()),) * 2
    pairs = [
        _pair(10.0, (12.0, (12.0,)), (11.0, (11.0,))),
        _pair(10.0, (10.0, (10.0,)), (10.0, (10.0,))),
        _pair(10.0, (1e9, (1e9,)), (1e9, (1e9,))),
    ]
    assert differences(metric, both, pairs) == pytest.approx([expected, 0.0, 0.0])


def _twice(p, rows, at):
    """Log the answers of two versions to the same requests, and return their ids."""
    ids = p.log(rows, at)
    p.log(rows, at, version="v2", ids=ids)
    return ids


def test_pairs_are_labelled_requests_and_rows_that_both_have_answered():
    """In time's order; those that one of them alone has answered, or a try of a file, are none."""
    p = Production()
    p.add_version("v2")
    rows = loan_rows(12, seed=3)
    later = _twice(p, rows[:4], START + timedelta(hours=1))
    first = _twice(p, rows[4:6], START)
    alone = p.log(rows[6:7], START, version="v2")
    labels = [*first, *later, *alone]
    p.label(labels, ["yes"] * len(labels), START + timedelta(hours=2))
    names = [f"c{n}" for n in range(5)]
    for version, flags in (("v2", {}), ("v1", {"is_shadow": True})):
        p.file_rows(rows[7:], names, START, version=version, **flags)
        p.file_rows(rows[7:], [f"t{n}" for n in range(5)], START, version=version, job_id="try",
                    is_evidence=False, **flags)  # fmt: skip
    p.label([*names, "t1"], ["no"] * 6, START + timedelta(hours=2), by="record_id")
    log = LabelledLog(p.store, "loans", (START, START + timedelta(hours=3)), record_id_days=1)
    found = log.pairs(("v2", "v1"), START)
    assert [pair.label for pair in found] == ["yes"] * 2 + ["no"] * 5 + ["yes"] * 4
    assert {(p.champion.model_version, p.previous.model_version) for p in found} == {("v2", "v1")}
    assert len(log.pairs(("v2", "v1"), START + timedelta(minutes=30))) == 4
    assert log.pairs(("v3", "v1"), START) == []
    assert {job.job_id: job.model_version for job in log.jobs} == {"j1": "v2", "try": "v2"}
