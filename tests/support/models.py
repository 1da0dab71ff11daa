"""A small fitted case of every algorithm, and its exported form."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.datasets import make_classification, make_regression

from noria.bundle.exported import ExportedModel, Features
from noria.bundle.format import pack, unpack
from noria.inference.scoring.links import LINKS
from noria.inference.scoring.loading import load_scorer
from noria.inference.scoring.scorer import Scorer
from noria.records.bundle import Calibration, model_from_dict
from noria.spec.algorithms import ALGORITHMS

Link = Callable[[list[float]], list[float]]

SMALL: dict[str, dict[str, int]] = {
    "random_forest": {"n_estimators": 12},
    "extra_trees": {"n_estimators": 12},
    "gradient_boosting": {"n_estimators": 12},
    "xgboost": {"n_estimators": 12},
    "lightgbm": {"n_estimators": 12, "min_child_samples": 5},
    "tree_blend": {"boosting_n_estimators": 12, "extra_trees_n_estimators": 7},
}
CASES = [
    (name, task, n_classes)
    for name, entry in ALGORITHMS.items()
    for task in sorted(entry.tasks)
    for n_classes in ((2, 5) if task == "classification" else (0,))
]
SHIFTS = (0.1, -0.2, 0.3, 0.0, 0.05)


def make_data(task: str, n_classes: int, sparse: bool) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    if sparse:
        X = scipy.sparse.random(300, 80, 0.06, random_state=1, format="csr")
        X.data = np.round(X.data * 4 - 1, 1)  # negative values too
        y = rng.integers(0, n_classes, 300) if n_classes else rng.normal(20, 5, 300)
        return X, y
    if n_classes:
        X, y = make_classification(
            300, 10, n_informative=8, n_redundant=0, n_classes=n_classes, random_state=0
        )
        return X, y
    X, y = make_regression(300, 10, noise=5, random_state=0)
    X[::5, 2] = 0.0
    return X, 20 + y / 50


def as_rows(X: Any) -> list[dict[int, float]]:
    if scipy.sparse.issparse(X):
        return [dict(zip(r.indices.tolist(), r.data.tolist(), strict=True)) for r in X]
    return [dict(enumerate(row)) for row in X.tolist()]


def whole_view(X: Any) -> Features:
    n_features = X.shape[1]
    return Features(n_features, range(n_features), scipy.sparse.issparse(X))


def loaded(exported: ExportedModel, n_classes: int) -> tuple[Scorer, Link]:
    calibrated = exported.model._replace(calibration=Calibration(1.7, SHIFTS[:n_classes]))
    document, arrays = unpack(pack({"model": calibrated.to_dict()}, exported.arrays))
    model = model_from_dict(document["model"])
    assert model == calibrated
    return load_scorer(model, arrays), lambda scores: LINKS[model.link](scores, model)
