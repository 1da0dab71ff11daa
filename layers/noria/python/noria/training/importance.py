"""What a candidate leans on: by its own trees, and by what is lost when a column is shuffled."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from noria.evaluation.decisions import decide
from noria.evaluation.metrics import Answers, Floats, improvement, measure
from noria.inference.predictor import Predictor
from noria.records.prediction import Row

_SHOWN = 20  # features of each kind, the greatest
_REPEATS, _SEED = 3, 20_264
_MOST_SCORES = 20_000  # of all shuffled columns together
_MOST_ROWS, _LEAST_ROWS = 300, 60


def own_importances(estimator: Any, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return what the library of a tree model says of its features: {kind: {feature: value}}.

    Parameters
    ----------
    names : sequence of str
        Of the features that the estimator was fitted on, in their order.

    Notes
    -----
    `gain`: what splits by a feature gained, a mean a split in XGBoost, the sum in LightGBM, the
    share of all impurity in scikit-learn. `weight`: number of splits. `cover`: rows (XGBoost: sum
    of second derivatives) a split. Empty for a model without trees.
    """
    found: dict[str, Any] = {}
    if hasattr(estimator, "get_booster"):
        booster = estimator.get_booster()
        for kind in ("gain", "weight", "cover"):
            scores = booster.get_score(importance_type=kind)
            found[kind] = [scores.get(f"f{place}", 0.0) for place in range(len(names))]
    elif hasattr(estimator, "booster_"):
        booster = estimator.booster_
        found["gain"] = booster.feature_importance("gain")
        found["weight"] = booster.feature_importance("split")
    elif hasattr(estimator, "feature_importances_"):
        found["gain"] = estimator.feature_importances_
    return {kind: _greatest(names, np.asarray(values)) for kind, values in found.items()}


def _greatest(names: Sequence[str], values: Floats) -> dict[str, float]:
    order = np.argsort(-values, kind="stable")[:_SHOWN].tolist()
    return {names[place]: float(values[place]) for place in order if values[place] > 0}


def shuffled_columns(
    predictor: Predictor,
    rows: Sequence[Row],
    truth: Any,
    metric: str,
    columns: Sequence[str],
) -> Mapping[str, float]:
    """Return by how much a metric gets worse when a column is shuffled, the most important first.

    Parameters
    ----------
    truth : array of shape (n_rows,)
        Class numbers, or values.

    Returns
    -------
    mapping of column to mean over three shuffles
        In the metric's unit; about 0 for a column that the model does not need. Of a table with
        very many columns the first ones; nothing where there are fewer than 60 rows.

    References
    ----------
    L. Breiman, "Random forests", Machine Learning 45 (2001), 5-32, section 10.
    """
    rng = np.random.default_rng(_SEED)
    columns = columns[: _MOST_SCORES // (_REPEATS * _LEAST_ROWS)]
    n_rows = min(_MOST_ROWS, _MOST_SCORES // (_REPEATS * max(len(columns), 1)), len(rows))
    if n_rows < _LEAST_ROWS:
        return {}
    places = _sample(truth, n_rows, rng, is_of_classes=bool(predictor.classes))
    some, target = [rows[place] for place in places.tolist()], truth[places]
    usual = measure(metric, target, _answers(predictor, some))
    lost = dict.fromkeys(columns, 0.0)
    for column in columns:
        for _ in range(_REPEATS):
            order = rng.permutation(n_rows).tolist()
            shuffled = [
                {**row, column: some[other].get(column)}
                for row, other in zip(some, order, strict=True)
            ]
            score = measure(metric, target, _answers(predictor, shuffled))
            lost[column] += improvement(metric, usual, score) / _REPEATS
    return dict(sorted(lost.items(), key=lambda pair: -pair[1]))


def _sample(truth: Any, n_rows: int, rng: Any, *, is_of_classes: bool) -> Any:
    """Return the places of some rows, in order: of each class at least a few, as far as there are.

    A metric of a sample without a class says nothing.
    """
    order = rng.permutation(len(truth))
    if not is_of_classes:
        return np.sort(order[:n_rows])
    classes = np.unique(truth)
    least = max(1, n_rows // (4 * len(classes)))
    kept = np.concatenate([order[truth[order] == number][:least] for number in classes])
    others = order[~np.isin(order, kept)]
    return np.sort(np.concatenate([kept, others])[:n_rows])


def _answers(predictor: Predictor, rows: Sequence[Row]) -> Answers:
    outputs = np.array([predictor.score(row) for row in rows], dtype=np.float64)
    if not predictor.classes:
        return Answers(outputs, None)
    # Row by row, as requests are decided: of a batch alone some share is chosen.
    return decide(outputs, predictor.decision._replace(share=None))
