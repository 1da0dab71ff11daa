"""Whether a new champion is worse than the one before, looked at as often as one likes.

Both answer the same rows. The losses of a labelled row differ by d in [-1, 1]; if the new champion
is no worse, the mean of d is at most 0, whatever came before. A bettor who stakes a share b of a
capital on each d then expects to gain nothing, so the product of 1 + b d is above 1 / risk at any
time at all with a probability of at most `risk` (Ville's inequality). Rows count in the order in
which their labels come; a label that is changed counts as one that came then. The capital is spread
over five stakes, as the best one depends on how much worse the champion is.

References
----------
J. Ville, "Étude critique de la notion de collectif", Gauthier-Villars, 1939.
I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", Journal of
the Royal Statistical Society B 86 (2024), 1-27.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noria.evaluation.metrics import METRICS, Answers, Floats, is_better, measure
from noria.monitoring.labelled_log import LabelledLog, LabelledPair
from noria.monitoring.prediction_log import KnownAnswer
from noria.monitoring.reference import Reference
from noria.records.alias import AliasRecord
from noria.records.probation import Probation
from noria.spec.model import ProjectSpec

_STAKES = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
_MOST_EVIDENCE = 1e12  # more changes no decision
_RANKINGS = frozenset({"roc_auc", "pr_auc"})
_SQUARES = frozenset({"rmse", "mse", "r2"})


def probation_window(spec: ProjectSpec, record: AliasRecord) -> tuple[datetime, datetime] | None:
    """Return when the champion's probation began and ends; None where it is on none."""
    start, end = record.rollout_started_at, record.rollout_until
    if not spec.rollout.probation_hours or not record.has_probation or not start or not end:
        return None
    return datetime.fromisoformat(start), datetime.fromisoformat(end)


def judged_probation(
    spec: ProjectSpec,
    record: AliasRecord,
    log: LabelledLog,
    references: tuple[Reference, Reference],
    window: tuple[datetime, datetime],
) -> Probation:
    """Return what the labelled rows say that both champions have answered.

    The champion is worse where the evidence is enough and its primary metric on those very rows is
    worse too: what a row loses stands for metrics that are no sum over rows.

    Parameters
    ----------
    references : (of the champion, of the champion before)
    window : (start, end) of the probation
    """
    versions = str(record.champion), str(record.previous_champion)
    metric, needed = spec.evaluation.primary_metric, 1.0 / spec.rollout.probation_risk
    both = both_answers(metric, references, log.pairs(versions, window[0]))
    found = differences(metric, both)
    evidence, scores = evidence_of_harm(found), _scores(metric, both)
    return Probation(
        champion=versions[0],
        previous=versions[1],
        started_at=window[0].isoformat(),
        ends_at=window[1].isoformat(),
        metric=metric,
        n_pairs=len(found),
        is_ranking=both.is_ranking(metric),
        mean_difference=float(found.mean()) if len(found) else 0.0,
        scores=scores,
        evidence=evidence,
        needed=needed,
        is_worse=evidence >= needed and scores is not None and is_better(metric, *scores[::-1]),
    )


class BothAnswers(NamedTuple):
    """What two champions said of the same labelled rows, by the same order of classes."""

    champion: Answers
    previous: Answers
    truth: Any  # class numbers or values, shape (n,), in the order in which they came
    classes: tuple[str, ...]  # those of the champion first; empty: a regression
    weights: tuple[float, ...]  # of at most 1, under which each class counts alike

    def is_ranking(self, metric: str) -> bool:
        """Whether a metric judges how rows of two classes are ordered."""
        return metric in _RANKINGS and len(self.classes) == 2


def evidence_of_harm(found: Floats) -> float:
    """Return the capital of the bettor, from 1: high where the differences are surely above 0.

    Parameters
    ----------
    found : array of shape (n,)
        In [-1, 1]. Their order does not matter.

    Examples
    --------
    >>> evidence_of_harm(np.array([]))
    1.0
    >>> evidence_of_harm(np.ones(20)) > 100 > 1 > evidence_of_harm(-np.ones(20))
    True
    """
    capital = np.exp(np.minimum(np.log1p(np.outer(_STAKES, found)).sum(axis=1), 700.0)).mean()
    return float(min(capital, _MOST_EVIDENCE))


def both_answers(
    metric: str, references: tuple[Reference, Reference], pairs: Sequence[LabelledPair]
) -> BothAnswers:
    """Return the answers to the rows that a metric can compare.

    Left out are labels of classes that the champion does not know, rows of batches whose
    probabilities were corrected, which the champion before is not asked for, and, where decisions
    count, of those that were decided together. A class that the one before does not know is none
    of its answers: it is wrong there.
    """
    champion, previous = references
    if bool(champion.classes) != bool(previous.classes):  # of another task
        pairs = []
    decides = METRICS[metric].decides
    pairs = [pair for pair in pairs if _is_comparable(pair, decides=decides)]
    if not champion.classes:
        truth = np.array([float(p.label) for p in pairs])
        values = [
            np.array([[float(found.prediction)] for found in said]).reshape(-1, 1)
            for said in ([p.champion for p in pairs], [p.previous for p in pairs])
        ]
        return BothAnswers(Answers(values[0], None), Answers(values[1], None), truth, (), ())
    pairs = [pair for pair in pairs if str(pair.label) in champion.classes]
    others = [name for name in previous.classes if name not in champion.classes]
    classes = (*champion.classes, *others)
    place = {name: number for number, name in enumerate(classes)}
    return BothAnswers(
        _aligned([p.champion for p in pairs], champion.classes, place),
        _aligned([p.previous for p in pairs], previous.classes, place),
        np.array([place[str(p.label)] for p in pairs], dtype=np.int64),
        classes,
        _class_weights(champion, len(others)),
    )


def _is_comparable(pair: LabelledPair, *, decides: bool) -> bool:
    job = pair.champion.job
    return job is None or not (job.is_corrected or (decides and job.is_whole))


def _aligned(
    said: Sequence[KnownAnswer], names: Sequence[str], place: Mapping[str, int]
) -> Answers:
    """Return answers by the common order of classes; what a model does not know gets 0."""
    outputs = np.zeros((len(said), len(place)))
    if said:
        outputs[:, [place[name] for name in names]] = [answer.outputs for answer in said]
    decided = np.array([place[str(answer.prediction)] for answer in said], dtype=np.int64)
    return Answers(outputs, decided)


def _class_weights(reference: Reference, n_others: int) -> tuple[float, ...]:
    expected = reference.out_of_fold.expected.sum(axis=1)
    shares = np.maximum(expected / expected.sum(), 1e-3)
    return (*(shares.min() / shares).tolist(), *[1.0] * n_others)


def _scores(metric: str, both: BothAnswers) -> tuple[float, float] | None:
    """Return the metric of (the champion, the one before); None without rows."""
    if not len(both.truth):
        return None
    champion, previous = (measure(metric, both.truth, said) for said in both[:2])
    return champion, previous


def differences(metric: str, both: BothAnswers) -> Floats:
    """Return by how much the champion's loss exceeds the other's, a row each, in [-1, 1].

    Notes
    -----
    A metric decides what a loss is. Of decided classes it is a wrong one, weighted where the metric
    is a mean over classes so that each counts alike. Of a ranking it is a pair of rows, one of each
    class, in the wrong order: the mean is the difference of the ROC AUC. Of other probabilities it
    is half the squared distance from the truth (the Brier score). Of a regression it is the
    difference of the (squared) errors over their sum, so that one outlier decides nothing.
    """
    if not both.classes:
        return _of_values(metric, both)
    if METRICS[metric].decides:
        wrong = [(said.decided != both.truth).astype(np.float64) for said in both[:2]]
        weights = (
            np.array(both.weights) if metric.endswith("_macro") else np.ones(len(both.classes))
        )
        counted: Floats = weights[both.truth] * (wrong[0] - wrong[1])
        return counted
    if both.is_ranking(metric):
        return _of_rankings(both.truth == 1, *(said.outputs[:, 1] for said in both[:2]))
    losses = [_brier_losses(said.outputs, both.truth) for said in both[:2]]
    return losses[0] - losses[1]


def _of_rankings(is_hit: NDArray[np.bool_], champion: Floats, previous: Floats) -> Floats:
    """Return the differences of pairs: the first hit with the first other row, and so on.

    Rows come in the order of their labels, so a later one changes no pair of an earlier look.
    """
    hits, others = np.flatnonzero(is_hit), np.flatnonzero(~is_hit)
    n = min(len(hits), len(others))
    hits, others = hits[:n], others[:n]

    def lost(scores: Floats) -> Floats:
        gap: Floats = scores[hits] - scores[others]
        return np.where(gap > 0, 0.0, np.where(gap < 0, 1.0, 0.5))

    return lost(champion) - lost(previous)


def _brier_losses(outputs: Floats, truth: NDArray[np.int64]) -> Floats:
    hits = np.zeros_like(outputs)
    hits[np.arange(len(truth)), truth] = 1.0
    losses: Floats = ((outputs - hits) ** 2).sum(axis=1) / 2.0
    return losses


def _of_values(metric: str, both: BothAnswers) -> Floats:
    errors = [np.abs(said.outputs[:, 0] - both.truth) for said in both[:2]]
    if metric in _SQUARES:
        errors = [found**2 for found in errors]
    total = errors[0] + errors[1]
    shares: Floats = np.divide(
        errors[0] - errors[1], total, out=np.zeros_like(total), where=total > 0
    )
    return shares
