"""How probabilities become classes, for many rows; and whether such decisions are worth making."""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np

from noria.evaluation.metrics import METRICS, Answers, Floats, measure
from noria.records.bundle import Decision
from noria.records.evaluation import ClassShare, DecisionCheck
from noria.spec.model import ProjectSpec

TUNED_FOR = "f1_macro"  # where the primary metric does not look at decisions
_Z = 2.5758  # of a 99 % interval: a decision is refused for what is no accident


def tuned_metric(metric: str) -> str:
    """Return the metric that a project's decisions are judged by."""
    return metric if METRICS[metric].decides else TUNED_FOR


def watched_metrics(spec: ProjectSpec) -> tuple[str, ...]:
    """Return the metrics that a project is judged by in life, the primary one first."""
    primary, evaluation = spec.evaluation.primary_metric, spec.monitoring.watch
    if spec.project.task == "regression":
        usual: tuple[str, ...] = ("rmse", "mae")
    elif spec.calibration.method == "none":
        usual = (tuned_metric(primary),)
    else:
        usual = (tuned_metric(primary), "calibration_error")
    return tuple(dict.fromkeys((primary, *(evaluation or usual))))


def decide(probabilities: Floats, decision: Decision) -> Answers:
    """Return probabilities with the classes that a decision takes.

    Parameters
    ----------
    probabilities : array of shape (n_rows, n_classes)
    decision : Decision
        With a share, the rows are one batch: the best ones by the last class's probability are of
        it, `round(share * n_rows)` of them; of equal ones the earlier.
    """
    if decision.share is not None:
        decided = np.zeros(len(probabilities), dtype=np.int64)
        order = np.argsort(-probabilities[:, 1], kind="stable")
        decided[order[: round(decision.share * len(probabilities))]] = 1
        return Answers(probabilities, decided)
    if decision.costs:
        expected: Floats = probabilities @ np.array(decision.costs)
        return Answers(probabilities, expected.argmin(axis=1))
    return Answers(probabilities, (probabilities * np.array(decision.weights)).argmax(axis=1))


def check_decisions(
    rule: str,
    metric: str,
    truth: Any,
    answers: Answers,
    *,
    commonest: int,
    classes: Sequence[str],
    max_share_ratio: float,
) -> DecisionCheck:
    """Return what decisions on rows with known classes are worth.

    Parameters
    ----------
    rule : str
        Of the spec's `decision.rule`. The shares of "top_share" are the spec's will and are not
        judged.
    metric : str
        The project's primary metric.
    truth : array of shape (n,)
        Class numbers.
    commonest : int
        Number of the commonest class in training: what one would answer without a model.
    classes : sequence of str
        Names by number.
    max_share_ratio : float
        Of a class's predicted share over its true share, and of the reverse for classes that are
        not rare (those with at least half of an equal share); beyond it, and surely so, the
        decision is degenerate.

    Notes
    -----
    Both shares count with their Wilson interval at 99 % [1]_, so few rows prove nothing.

    References
    ----------
    .. [1] Wilson, "Probable inference, the law of succession, and statistical inference", JASA
       22 (1927).
    """
    tuned_for = tuned_metric(metric)
    always = Answers(answers.outputs, np.full(len(truth), commonest))
    beyond = () if rule == "top_share" else _beyond(truth, answers, classes, max_share_ratio)
    return DecisionCheck(
        rule=rule,
        n_rows=len(truth),
        metric=tuned_for,
        value=measure(tuned_for, truth, answers),
        commonest_value=measure(tuned_for, truth, always),
        accuracy=measure("accuracy", truth, answers),
        commonest_accuracy=measure("accuracy", truth, always),
        beyond=tuple(beyond),
    )


def _beyond(
    truth: Any, answers: Answers, classes: Sequence[str], max_ratio: float
) -> list[ClassShare]:
    n_rows = len(truth)
    found = []
    for number, name in enumerate(classes):
        n_true = int(np.count_nonzero(truth == number))
        n_predicted = int(np.count_nonzero(answers.decided == number))
        true, predicted = (wilson_interval(n, n_rows) for n in (n_true, n_predicted))
        is_over = predicted[0] > max_ratio * true[1]
        is_common = true[0] >= 0.5 / len(classes)
        is_under = is_common and predicted[1] * max_ratio < true[0]
        if is_over or is_under:
            found.append(ClassShare(name, n_predicted / n_rows, n_true / n_rows))
    return found


def wilson_interval(count: int, n: int) -> tuple[float, float]:
    """Return the 99 % interval of a share, Wilson's; n is at least 1."""
    share, scale = count / n, 1.0 + _Z**2 / n
    middle = (share + _Z**2 / (2.0 * n)) / scale
    half = _Z * sqrt(share * (1.0 - share) / n + _Z**2 / (4.0 * n**2)) / scale
    return middle - half, middle + half
