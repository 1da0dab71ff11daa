"""A new champion held against the one before: how surely, how often wrongly, and by what loss."""

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from noria.evaluation.metrics import Answers, measure
from noria.monitoring.filed_rows import FiledJob
from noria.monitoring.labelled_log import LabelledLog, LabelledPair
from noria.monitoring.prediction_log import KnownAnswer
from noria.monitoring.probation import (
    both_answers,
    differences,
    evidence_of_harm,
    judged_probation,
)
from noria.records.alias import AliasRecord
from tests.support.production import START, Production, loan_rows, loan_spec

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


def _pair(label, champion, previous, **job):
    of = FiledJob("j", "f.csv", "a", START.isoformat(), **job) if job else None
    said = [
        KnownAnswer(START, version, prediction, outputs, job=of)
        for version, (prediction, outputs) in zip("ab", (champion, previous), strict=True)
    ]
    return LabelledPair(*said, label, START.isoformat())


def _lost(metric, references, pairs):
    return differences(metric, both_answers(metric, references, pairs))


NO, YES = ("no", (0.6, 0.4)), ("yes", (0.4, 0.6))


def test_decided_classes_count_by_whether_they_are_right():
    """Of a mean over classes those of a rare one weigh more."""
    both = (_reference(["no", "yes"], [90.0, 10.0]),) * 2
    pairs = [_pair("no", YES, NO), _pair("yes", YES, NO), _pair("no", NO, NO)]
    assert _lost("accuracy", both, pairs).tolist() == [1.0, -1.0, 0.0]
    assert _lost("f1_macro", both, pairs) == pytest.approx([1 / 9, -1.0, 0.0])


def test_a_class_that_the_one_before_does_not_know_is_its_error():
    """Else a champion that has learned it would pay for the harder task; one that neither knows
    says nothing, and of probabilities the whole distance counts.
    """
    both = _reference(["a", "b", "new"]), _reference(["b", "a"])
    pairs = [
        _pair("new", ("new", (0.0, 0.0, 1.0)), ("a", (0.0, 1.0))),
        _pair("other", ("a", (1.0, 0.0, 0.0)), ("a", (0.0, 1.0))),
        _pair("a", ("a", (0.5, 0.5, 0.0)), ("a", (0.0, 1.0))),
    ]
    assert _lost("accuracy", both, pairs).tolist() == [-1.0, 0.0]
    assert _lost("log_loss", both, pairs).tolist() == [-1.0, 0.25]


@pytest.mark.parametrize(
    ("job", "metric", "n"),
    [({"is_whole": True}, "accuracy", 0), ({"is_whole": True}, "roc_auc", 1),
     ({"is_corrected": True}, "roc_auc", 0), ({"is_evidence": True}, "accuracy", 2)],
)  # fmt: skip
def test_rows_of_files_that_were_decided_otherwise_compare_nothing(job, metric, n):
    """The best tenth of a batch against a threshold: the same model would be worse than itself."""
    both = (_reference(["no", "yes"]),) * 2
    pairs = [_pair("no", YES, NO, **job), _pair("yes", YES, NO, **job)]
    assert len(_lost(metric, both, pairs)) == n


def test_a_ranking_counts_pairs_so_that_the_mean_is_the_difference_of_roc_auc():
    """Of independent pairs: of many rows it comes close. Classes may be in another order."""
    rng = np.random.default_rng(4)
    n = 20_000
    truth = rng.integers(0, 2, n)
    good, bad = truth + rng.normal(0.0, 1.0, n), truth + rng.normal(0.0, 2.0, n)
    good, bad = (1.0 / (1.0 + np.exp(-score)) for score in (good, bad))
    pairs = [
        _pair("ny"[t], ("n", (1 - b, b)), ("n", (g, 1 - g)))
        for t, b, g in zip(truth.tolist(), bad.tolist(), good.tolist(), strict=True)
    ]
    found = _lost("roc_auc", (_reference("ny"), _reference("yn")), pairs)
    exact = [
        measure("roc_auc", truth, Answers(np.stack([1 - s, s], axis=1), None)) for s in (good, bad)
    ]
    assert len(found) == min(truth.sum(), n - truth.sum())
    assert found.mean() == pytest.approx(exact[0] - exact[1], abs=0.02)


def test_a_later_label_changes_no_pair_of_an_earlier_look():
    """Else each look would be another statistic, and none would be valid at any time."""
    rng = np.random.default_rng(9)
    both = (_reference("ny"),) * 2
    pairs = [
        _pair("ny"[t], ("n", (1 - a, a)), ("n", (1 - b, b)))
        for t, a, b in zip(rng.integers(0, 2, 300), rng.random(300), rng.random(300), strict=True)
    ]
    whole = _lost("roc_auc", both, pairs)
    for n in (50, 120, 299):
        early = _lost("roc_auc", both, pairs[:n])
        assert early.tolist() == whole[: len(early)].tolist()


def test_other_probabilities_count_by_their_distance_from_the_truth():
    """A ranking of three classes too; without a pair there is nothing, nor of another task."""
    pairs = [_pair("a", ("a", (0.5, 0.5)), ("a", (0.0, 1.0)))]
    both = _reference(["a", "b"]), _reference(["b", "a"])
    assert _lost("log_loss", both, pairs).tolist() == [0.25]
    assert len(_lost("log_loss", both, [])) == 0
    three = (_reference("abc"),) * 2
    found = _lost("roc_auc", three, [_pair("a", ("a", (1.0, 0.0, 0.0)), ("b", (0.0, 1.0, 0.0)))])
    assert found.tolist() == [-1.0]
    assert (
        len(_lost("rmse", (_reference(()), _reference("ab")), [_pair(1.0, (1.0, (1.0,)), NO)])) == 0
    )


@pytest.mark.parametrize(("metric", "expected"), [("mae", 1 / 3), ("rmse", 3 / 5)])
def test_values_count_by_their_errors_and_one_outlier_decides_nothing(metric, expected):
    """The difference over the sum; equal errors, and none at all, are no difference."""
    both = (_reference(()),) * 2
    pairs = [
        _pair(10.0, (12.0, (12.0,)), (11.0, (11.0,))),
        _pair(10.0, (10.0, (10.0,)), (10.0, (10.0,))),
        _pair(10.0, (1e9, (1e9,)), (1e9, (1e9,))),
    ]
    assert _lost(metric, both, pairs) == pytest.approx([expected, 0.0, 0.0])


class _Log:
    def __init__(self, pairs):
        self._pairs = pairs

    def pairs(self, versions, since):
        return self._pairs


def _judged(metric, task, pairs, classes=()):
    spec = loan_spec(evaluation={"primary_metric": metric}, project={"task": task})
    record = AliasRecord("loans", 3, "v2", "v1", START.isoformat())
    references = (_reference(classes),) * 2
    return judged_probation(spec, record, _Log(pairs), references, (START, START))


def test_a_champion_whose_metric_is_better_stays_whatever_single_rows_say():
    """It errs by little more on most rows, and by far less on those that cost most."""
    rng = np.random.default_rng(3)
    pairs = []
    for truth in (100.0 * np.exp(rng.normal(0.0, 1.5, 2000))).tolist():
        is_costly = truth > 300.0
        errors = (2.0, 1.0) if not is_costly else (0.1 * truth, 0.4 * truth)
        pairs.append(_pair(truth, *((truth + e, (truth + e,)) for e in errors)))
    found = _judged("rmse", "regression", pairs)
    assert found.evidence > found.needed
    assert found.scores[0] < found.scores[1]
    assert not found.is_worse


def test_evidence_with_a_worse_metric_takes_it_back():
    """Both numbers are there to read."""
    classes = ("no", "yes")
    found = _judged("accuracy", "classification", [_pair("no", YES, NO)] * 30, classes)
    assert found.is_worse
    assert found.scores == (0.0, 1.0)
    assert _judged("accuracy", "classification", [], classes).scores is None


def _twice(p, rows, at):
    """Log the answers of two versions to the same requests, and return their ids."""
    ids = p.log(rows, at)
    p.log(rows, at, version="v2", ids=ids)
    return ids


def test_pairs_are_labelled_requests_and_rows_that_both_have_answered():
    """In the order of their labels, then of the answers; those that one of them alone has answered, or a try of a file, are none."""
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
    assert [pair.label for pair in found] == ["no"] * 5 + ["yes"] * 2 + ["yes"] * 4
    assert len({pair.came_at for pair in found}) == 1
    assert {(p.champion.model_version, p.previous.model_version) for p in found} == {("v2", "v1")}
    assert len(log.pairs(("v2", "v1"), START + timedelta(minutes=30))) == 4
    assert log.pairs(("v3", "v1"), START) == []
    assert {job.job_id: job.model_version for job in log.jobs} == {"j1": "v2", "try": "v2"}
