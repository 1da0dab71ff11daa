"""What a spec may name: algorithms and metrics, without the libraries behind them.

The implementations are in `noria.training.algorithms` and `noria.evaluation.metrics`; a test
keeps the names equal. The catalog exists so that a spec is checked without importing them.
"""

from typing import NamedTuple

CLASSIFICATION = frozenset({"classification"})
REGRESSION = frozenset({"regression"})
BOTH = CLASSIFICATION | REGRESSION


class AlgorithmEntry(NamedTuple):
    """One algorithm: the tasks it serves, the parameters a spec may set."""

    tasks: frozenset[str]
    params: frozenset[str]
    accepts_missing: bool = False


_FOREST = frozenset(
    [
        "n_estimators",
        "max_depth",
        "min_samples_split",
        "min_samples_leaf",
        "max_features",
        "class_weight",
    ]
)
_BOOSTING = frozenset(
    [
        "n_estimators",
        "max_depth",
        "learning_rate",
        "subsample",
        "min_samples_split",
        "min_samples_leaf",
        "max_features",
    ]
)
_XGBOOST = frozenset(
    [
        "n_estimators",
        "max_depth",
        "learning_rate",
        "subsample",
        "colsample_bytree",
        "min_child_weight",
        "gamma",
        "reg_alpha",
        "reg_lambda",
        "max_bin",
    ]
)

_TREE_BLEND = frozenset(
    {f"boosting_{name}" for name in _BOOSTING}
    | {f"extra_trees_{name}" for name in _FOREST - {"class_weight"}}
)

ALGORITHMS: dict[str, AlgorithmEntry] = {
    "logistic_regression": AlgorithmEntry(
        CLASSIFICATION, frozenset({"C", "l1_ratio", "class_weight", "max_iter"})
    ),
    "linear_svm": AlgorithmEntry(
        CLASSIFICATION, frozenset({"C", "class_weight", "calibration_folds"})
    ),
    "linear_regression": AlgorithmEntry(REGRESSION, frozenset()),
    "ridge": AlgorithmEntry(REGRESSION, frozenset({"alpha"})),
    "random_forest": AlgorithmEntry(BOTH, _FOREST),
    "extra_trees": AlgorithmEntry(BOTH, _FOREST),
    "gradient_boosting": AlgorithmEntry(BOTH, _BOOSTING),
    "tree_blend": AlgorithmEntry(REGRESSION, _TREE_BLEND),
    "xgboost": AlgorithmEntry(BOTH, _XGBOOST, accepts_missing=True),
}

METRICS: dict[str, frozenset[str]] = {
    "accuracy": CLASSIFICATION,
    "f1_macro": CLASSIFICATION,
    "f1_weighted": CLASSIFICATION,
    "precision_macro": CLASSIFICATION,
    "precision_weighted": CLASSIFICATION,
    "recall_macro": CLASSIFICATION,
    "recall_weighted": CLASSIFICATION,
    "log_loss": CLASSIFICATION,
    "rmse": REGRESSION,
    "mae": REGRESSION,
    "mape": REGRESSION,
    "r2": REGRESSION,
}
