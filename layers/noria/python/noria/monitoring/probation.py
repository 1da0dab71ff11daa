"""Whether a new champion is worse than the one before, looked at as often as one likes.

Both answer the same rows. The losses of a labelled row differ by d in [-1, 1]; if the new champion
is no worse, the mean of d is at most 0, whatever came before. A bettor who stakes a share b of a
capital on each d then expects to gain nothing, so the product of 1 + b d is above 1 / risk at any
time at all with a probability of at most `risk` (Ville's inequality). The capital is spread over
five stakes, as the best one depends on how much worse the champion is.

References
----------
J. Ville, "Étude critique de la notion de collectif", Gauthier-Villars, 1939.
I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", Journal of
the Royal Statistical Society B 86 (2024), 1-27.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from noria.evaluation.metrics import METRICS, Floats
from noria.monitoring.labelled_log import LabelledLog, LabelledPair
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
    hours, promoted_at = spec.rollout.probation_hours, record.promoted_at
    if not hours or promoted_at is None or record.previous_champion is None:
        return None
    start = datetime.fromisoformat(promoted_at)
    return start, start + timedelta(hours=hours)


def judged_probation(
    spec: ProjectSpec,
    record: AliasRecord,
    log: LabelledLog,
    references: tuple[Reference, Reference],
    window: tuple[datetime, datetime],
) -> Probation:
    """Return what the labelled rows say that both champions have answered.

    Parameters
    ----------
    references : (of the champion, of the champion before)
    window : (start, end) of the probation
    """
    versions = str(record.champion), str(record.previous_champion)
    metric, needed = spec.evaluation.primary_metric, 1.0 / spec.rollout.probation_risk
    found = differences(metric, references, log.pairs(versions, window[0]))
    evidence = evidence_of_harm(found)
    return Probation(
        champion=versions[0],
        previous=versions[1],
        started_at=window[0].isoformat(),
        ends_at=window[1].isoformat(),
        metric=metric,
        n_pairs=len(found),
        is_ranking=_is_ranking(metric, references),
        mean_difference=float(found.mean()) if len(found) else 0.0,
        evidence=evidence,
        needed=needed,
        is_worse=evidence >= needed,
    )


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


def differences(
    metric: str, references: tuple[Reference, Reference], pairs: Sequence[LabelledPair]
) -> Floats:
    """Return by how much the champion's loss exceeds the other's, a row each, in [-1, 1].

    Notes
    -----
    A metric decides what a loss is. Of decided classes it is a wrong one, where the metric is
    a mean over classes weighted so that each class counts alike. Of a ranking it is a pair of
    rows, one of each class, in the wrong order: the mean is the difference of the ROC AUC. Of
    other probabilities it is half the squared distance from the truth (the Brier score). Of a
    regression it is the difference of the (squared) errors over their sum, so that one outlier
    decides nothing. Labels of classes that one of the models does not know are left out.
    """
    champion, previous = references
    if not champion.classes:
        return _of_values(metric, pairs)
    classes = (champion.classes, previous.classes)
    known = [p for p in pairs if all(str(p.label) in names for names in classes)]
    if not known:
        return np.zeros(0)
    if METRICS[metric].decides:
        weights = _class_weights(champion) if metric.endswith("_macro") else {}
        return np.array(
            [
                weights.get(str(p.label), 1.0)
                * (_is_wrong(p.champion.prediction, p) - _is_wrong(p.previous.prediction, p))
                for p in known
            ]
        )
    outputs = [
        np.array([answer.outputs for answer in answers], dtype=np.float64)
        for answers in ([p.champion for p in known], [p.previous for p in known])
    ]
    truth = [np.array([names.index(str(p.label)) for p in known]) for names in classes]
    if _is_ranking(metric, references):
        return _of_rankings(truth[0] == 1, outputs[0][:, 1], outputs[1][:, 1])
    losses = [_brier_losses(found, true) for found, true in zip(outputs, truth, strict=True)]
    return losses[0] - losses[1]


def _is_ranking(metric: str, references: tuple[Reference, Reference]) -> bool:
    return metric in _RANKINGS and all(len(found.classes) == 2 for found in references)


def _is_wrong(prediction: str | float, pair: LabelledPair) -> float:
    return float(str(prediction) != str(pair.label))


def _class_weights(reference: Reference) -> dict[str, float]:
    """Return weights of at most 1 under which each class counts alike, by its share in training."""
    expected = reference.out_of_fold.expected.sum(axis=1)
    shares = np.maximum(expected / expected.sum(), 1e-3)
    return dict(zip(reference.classes, (shares.min() / shares).tolist(), strict=True))


def _of_rankings(is_hit: NDArray[np.bool_], champion: Floats, previous: Floats) -> Floats:
    """Return the differences of pairs: the first hit with the first other row, and so on."""
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


def _of_values(metric: str, pairs: Sequence[LabelledPair]) -> Floats:
    truth = np.array([float(p.label) for p in pairs])
    errors = [
        np.abs(np.array([float(answer.prediction) for answer in answers]) - truth)
        for answers in ([p.champion for p in pairs], [p.previous for p in pairs])
    ]
    if metric in _SQUARES:
        errors = [found**2 for found in errors]
    total = errors[0] + errors[1]
    shares: Floats = np.divide(
        errors[0] - errors[1], total, out=np.zeros_like(total), where=total > 0
    )
    return shares
