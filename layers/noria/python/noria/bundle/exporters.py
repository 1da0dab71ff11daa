"""Translate fitted estimators into the serving bundle's model: linear form or node table.

One exporter per estimator class. `FLOAT32` marks models whose own library sums in single
precision, so parity with it cannot be closer than that.
"""

import json
from array import array
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noria.bundle.trees import NodeTable, sklearn_tree, xgboost_tree
from noria.errors import ModelIncompatibleError

FLOAT64, FLOAT32 = "float64", "float32"


class ExportedModel(NamedTuple):
    """A model as data."""

    model: dict[str, Any]  # what `noria.inference.scoring.load_scorer` reads
    arrays: dict[str, "array[Any]"]
    precision: str


def export(estimator: Any, n_features: int, *, sparse: bool) -> ExportedModel:
    """Return the exported form of a fitted estimator.

    Parameters
    ----------
    estimator : fitted scikit-learn or XGBoost estimator
    n_features : int
        Columns of the feature view it was fitted on.
    sparse : bool
        Whether it was fitted on CSR rows.

    Raises
    ------
    ModelIncompatibleError
        No exporter exists for the estimator's class.
    """
    name = type(estimator).__name__
    exporter = EXPORTERS.get(name)
    if exporter is None:
        raise ModelIncompatibleError(
            f"no exporter for {name}; available: {sorted(EXPORTERS)}", estimator=name
        )
    return exporter(estimator, n_features, sparse)


def _linear(
    coefficients: NDArray[np.float64], intercepts: NDArray[np.float64], model: Mapping[str, Any]
) -> ExportedModel:
    by_feature = np.ascontiguousarray(np.atleast_2d(coefficients).T, dtype=np.float64)
    arrays = {
        "coefficients": array("d", by_feature.tobytes()),
        "intercepts": array("d", np.atleast_1d(intercepts).astype(np.float64).tobytes()),
    }
    shape = {"form": "linear", "n_outputs": by_feature.shape[1]}
    return ExportedModel({**shape, **model}, arrays, FLOAT64)


def _logistic_regression(estimator: Any, n_features: int, sparse: bool) -> ExportedModel:
    return _linear(estimator.coef_, estimator.intercept_, {"link": "softmax"})


def _linear_regressor(estimator: Any, n_features: int, sparse: bool) -> ExportedModel:
    return _linear(estimator.coef_, estimator.intercept_, {"link": "identity"})


def _calibrated_classifier(estimator: Any, n_features: int, sparse: bool) -> ExportedModel:
    (fitted,) = estimator.calibrated_classifiers_  # ensemble=False keeps one
    calibration = [[float(c.a_), float(c.b_)] for c in fitted.calibrators]
    inner = fitted.estimator
    return _linear(
        inner.coef_, inner.intercept_, {"link": "calibrated", "calibration": calibration}
    )


def _forest(estimator: Any, n_features: int, sparse: bool) -> ExportedModel:
    table = NodeTable(n_features, sparse=sparse)
    n_outputs = len(estimator.classes_) if hasattr(estimator, "classes_") else 1
    _add_forest(table, estimator, 1.0)
    model = {
        "form": "trees",
        "link": "mean",
        "n_outputs": n_outputs,
        "outputs_per_leaf": n_outputs,
        "n_trees": len(estimator.estimators_),
    }
    return ExportedModel(model, table.arrays([0.0] * n_outputs), FLOAT64)


def _gradient_boosting(estimator: Any, n_features: int, sparse: bool) -> ExportedModel:
    table = NodeTable(n_features, sparse=sparse)
    first = _add_boosting(table, estimator, 1.0)
    model = {
        "form": "trees",
        "link": "softmax" if hasattr(estimator, "classes_") else "identity",
        "n_outputs": len(first),
        "outputs_per_leaf": 1,
    }
    return ExportedModel(model, table.arrays(first), FLOAT64)


def _tree_blend(estimator: Any, n_features: int, sparse: bool) -> ExportedModel:
    """One table holds both members: their trees, each weighted by its member's share."""
    boosting, forest = estimator.estimators_
    table = NodeTable(n_features, sparse=sparse)
    (first,) = _add_boosting(table, boosting, 0.5)
    _add_forest(table, forest, 0.5 / len(forest.estimators_))
    model = {"form": "trees", "link": "identity", "n_outputs": 1, "outputs_per_leaf": 1}
    return ExportedModel(model, table.arrays([first]), FLOAT64)


def _add_forest(table: NodeTable, estimator: Any, weight: float) -> None:
    for member in estimator.estimators_:
        table.add(sklearn_tree(member.tree_, weight * member.tree_.value[:, 0, :], 0))


def _add_boosting(table: NodeTable, estimator: Any, weight: float) -> list[float]:
    """Add the stages' trees and return the weighted initial estimate, one number an output."""
    for stage in estimator.estimators_:
        for output, member in enumerate(stage):
            leaf = weight * estimator.learning_rate * member.tree_.value[:, 0, :]
            table.add(sklearn_tree(member.tree_, leaf, output))
    # The initial estimate ignores the features, so any row gives it.
    any_row = np.zeros((1, estimator.n_features_in_))
    first: list[float] = (weight * estimator._raw_predict_init(any_row)[0]).tolist()
    return first


def _xgboost(estimator: Any, n_features: int, sparse: bool) -> ExportedModel:
    learner = json.loads(estimator.get_booster().save_raw("json"))["learner"]
    booster = learner["gradient_booster"]["model"]
    objective = learner["objective"]["name"]
    table = NodeTable(n_features, sparse=sparse)
    for output, tree in zip(booster["tree_info"], booster["trees"], strict=True):
        table.add(xgboost_tree(tree, output, sparse=sparse))
    base = np.asarray(json.loads(learner["learner_model_param"]["base_score"]), dtype=np.float32)
    n_outputs = len(estimator.classes_) if objective == "multi:softprob" else 1
    margins = np.broadcast_to(np.atleast_1d(base).astype(np.float64), (n_outputs,))
    if objective == "binary:logistic":
        margins = np.log(margins / (1.0 - margins))
    model = {
        "form": "trees",
        "link": "identity" if objective == "reg:squarederror" else "softmax",
        "n_outputs": n_outputs,
        "outputs_per_leaf": 1,
    }
    return ExportedModel(model, table.arrays(margins.tolist()), FLOAT32)


EXPORTERS: dict[str, Callable[[Any, int, bool], ExportedModel]] = {
    "LogisticRegression": _logistic_regression,
    "LinearRegression": _linear_regressor,
    "Ridge": _linear_regressor,
    "CalibratedLinearSVC": _calibrated_classifier,
    "RandomForestClassifier": _forest,
    "RandomForestRegressor": _forest,
    "ExtraTreesClassifier": _forest,
    "ExtraTreesRegressor": _forest,
    "GradientBoostingClassifier": _gradient_boosting,
    "GradientBoostingRegressor": _gradient_boosting,
    "VotingRegressor": _tree_blend,
    "XGBClassifier": _xgboost,
    "XGBRegressor": _xgboost,
}
