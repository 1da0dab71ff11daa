"""Translate fitted estimators into the serving bundle's model: linear form, kernel or node table.

One exporter per estimator class. `FLOAT32` marks models whose own library sums in single
precision, so parity with it cannot be closer than that.
"""

import json
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse

from noria.bundle.exported import FLOAT32, FLOAT64, ExportedModel, Features
from noria.bundle.trees import NodeTable, lightgbm_tree, sklearn_tree, xgboost_tree
from noria.errors import ModelIncompatibleError
from noria.records.bundle import Link, Model

SHARE_FLOOR = 1e-3  # a forest's class share of 0 is "rarer than its trees can tell"


def export(estimator: Any, features: Features) -> ExportedModel:
    """Return the exported form of a fitted estimator, over the whole feature view.

    Parameters
    ----------
    estimator : fitted scikit-learn, XGBoost or LightGBM estimator
    features : Features

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
    return exporter(estimator, features)


def _doubles(values: Any) -> "array[float]":
    return array("d", np.ascontiguousarray(values, dtype=np.float64).tobytes())


def _integers(values: Any) -> "array[int]":
    return array("i", np.ascontiguousarray(values, dtype=np.int32).tobytes())


def _linear(estimator: Any, features: Features, link: Link) -> ExportedModel:
    seen = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64)).T
    by_feature = np.zeros((features.width, seen.shape[1]))
    by_feature[list(features.kept)] = seen
    arrays: dict[str, array[Any]] = {
        "coefficients": _doubles(by_feature),
        "intercepts": _doubles(np.atleast_1d(estimator.intercept_)),
    }
    model = Model("linear", link, n_outputs=by_feature.shape[1])
    return ExportedModel(model, arrays, FLOAT64)


def _linear_classifier(estimator: Any, features: Features) -> ExportedModel:
    return _linear(estimator, features, "softmax")


def _linear_regressor(estimator: Any, features: Features) -> ExportedModel:
    return _linear(estimator, features, "identity")


def _support_vectors(estimator: Any, features: Features) -> ExportedModel:
    """A kernel SVM: its support vectors as sparse rows, with a weight for each pair of classes."""
    vectors = scipy.sparse.csr_matrix(estimator.support_vectors_)
    vectors.sort_indices()
    weights = estimator.dual_coef_
    if scipy.sparse.issparse(weights):
        weights = weights.toarray()
    n_classes = len(estimator.classes_)
    model = Model(
        "kernel",
        "softmax",
        n_outputs=1 if n_classes == 2 else n_classes,
        kernel=estimator.kernel,
        gamma=float(estimator._gamma),
        n_features=features.width,
        per_class=tuple(int(n) for n in estimator.n_support_),
    )
    arrays: dict[str, array[Any]] = {
        "vector_start": _integers(vectors.indptr),
        "vector_feature": _integers(np.asarray(features.kept)[vectors.indices]),
        "vector_value": _doubles(vectors.data),
        "weights": _doubles(weights),
        "intercepts": _doubles(estimator.intercept_),
    }
    return ExportedModel(model, arrays, FLOAT64)


def _trees(
    table: NodeTable, base: Sequence[float], link: Link, *, rounds: bool = True
) -> ExportedModel:
    model = Model("trees", link, n_outputs=len(base), rounds=rounds)
    return ExportedModel(model, table.arrays(base), FLOAT64)


def _forest(estimator: Any, features: Features) -> ExportedModel:
    table = NodeTable(features)
    is_classifier = hasattr(estimator, "classes_")
    n_outputs = len(estimator.classes_) if is_classifier else 1
    members = getattr(estimator, "estimators_", [estimator])
    _add_forest(table, members, 1.0 / len(members))
    exported = _trees(table, [0.0] * n_outputs, "log_shares" if is_classifier else "identity")
    floor = SHARE_FLOOR if is_classifier else 0.0
    return exported._replace(model=exported.model._replace(outputs_per_leaf=n_outputs, floor=floor))


def _gradient_boosting(estimator: Any, features: Features) -> ExportedModel:
    table = NodeTable(features)
    first = _add_boosting(table, estimator, 1.0)
    return _trees(table, first, _boosting_link(estimator))


def _tree_blend(estimator: Any, features: Features) -> ExportedModel:
    """One table holds both members: their trees, each weighted by its member's share."""
    boosting, forest = estimator.estimators_
    table = NodeTable(features)
    first = _add_boosting(table, boosting, 0.5)
    _add_forest(table, forest.estimators_, 0.5 / len(forest.estimators_))
    return _trees(table, first, "identity")


def _add_forest(table: NodeTable, members: Sequence[Any], weight: float) -> None:
    for member in members:
        table.add(sklearn_tree(member.tree_, weight * member.tree_.value[:, 0, :], 0))


def _add_boosting(table: NodeTable, estimator: Any, weight: float) -> list[float]:
    """Add the stages' trees and return the weighted initial estimate, one number per output."""
    for stage in estimator.estimators_:
        for output, member in enumerate(stage):
            leaf = weight * estimator.learning_rate * member.tree_.value[:, 0, :]
            table.add(sklearn_tree(member.tree_, leaf, output))
    # The initial estimate ignores the features, so any row gives it.
    any_row = np.zeros((1, estimator.n_features_in_))
    first: list[float] = (weight * estimator._raw_predict_init(any_row)[0]).tolist()
    return first


def _xgboost(estimator: Any, features: Features) -> ExportedModel:
    learner = json.loads(estimator.get_booster().save_raw("json"))["learner"]
    booster = learner["gradient_booster"]["model"]
    objective = learner["objective"]["name"]
    table = NodeTable(features)
    for output, tree in zip(booster["tree_info"], booster["trees"], strict=True):
        table.add(xgboost_tree(tree, output, sparse=features.sparse))
    base = np.asarray(json.loads(learner["learner_model_param"]["base_score"]), dtype=np.float32)
    n_outputs = len(estimator.classes_) if objective == "multi:softprob" else 1
    margins = np.broadcast_to(np.atleast_1d(base).astype(np.float64), (n_outputs,))
    if objective == "binary:logistic":
        margins = np.log(margins / (1.0 - margins))
    exported = _trees(
        table, margins.tolist(), "identity" if objective == "reg:squarederror" else "softmax"
    )
    return exported._replace(precision=FLOAT32)


def _lightgbm(estimator: Any, features: Features) -> ExportedModel:
    """LightGBM compares in double precision, and its first trees hold the initial estimate."""
    dumped = estimator.booster_.dump_model()
    n_outputs = dumped["num_tree_per_iteration"]
    table = NodeTable(features)
    for number, info in enumerate(dumped["tree_info"]):
        table.add(lightgbm_tree(info["tree_structure"], number % n_outputs))
    return _trees(table, [0.0] * n_outputs, _boosting_link(estimator), rounds=False)


def _boosting_link(estimator: Any) -> Link:
    return "softmax" if hasattr(estimator, "classes_") else "identity"


EXPORTERS: dict[str, Callable[[Any, Features], ExportedModel]] = {
    "LogisticRegression": _linear_classifier,
    "LinearSVC": _linear_classifier,
    "SVC": _support_vectors,
    "LinearRegression": _linear_regressor,
    "Ridge": _linear_regressor,
    "DecisionTreeClassifier": _forest,
    "DecisionTreeRegressor": _forest,
    "RandomForestClassifier": _forest,
    "RandomForestRegressor": _forest,
    "ExtraTreesClassifier": _forest,
    "ExtraTreesRegressor": _forest,
    "GradientBoostingClassifier": _gradient_boosting,
    "GradientBoostingRegressor": _gradient_boosting,
    "VotingRegressor": _tree_blend,
    "XGBClassifier": _xgboost,
    "XGBRegressor": _xgboost,
    "LGBMClassifier": _lightgbm,
    "LGBMRegressor": _lightgbm,
}
