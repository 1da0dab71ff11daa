"""What a spec may name: algorithms and metrics, without the libraries behind them.

The implementations are in `noria.training.algorithms` and `noria.evaluation.metrics`; a test
keeps the names equal. The catalog exists so that a spec is checked without importing them.
"""

from typing import NamedTuple

# Files of rows; .json is JSON lines too.
ROW_SUFFIXES = (".csv", ".jsonl", ".json", ".csv.gz", ".jsonl.gz", ".json.gz")
PARQUET = ".parquet"
BATCH_SUFFIXES = (*ROW_SUFFIXES, PARQUET)
CLASSIFICATION = frozenset({"classification"})
REGRESSION = frozenset({"regression"})
BOTH = CLASSIFICATION | REGRESSION


class AlgorithmEntry(NamedTuple):
    """One algorithm: the tasks it serves, the parameters a spec may set."""

    tasks: frozenset[str]
    params: frozenset[str]
    accepts_missing: bool = False


_TREE = frozenset(
    {"max_depth", "min_samples_split", "min_samples_leaf", "max_features", "class_weight"}
)
_FOREST = _TREE | {"n_estimators"}
_BOOSTING = _TREE | {"n_estimators", "learning_rate", "subsample"}
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
        "class_weight",
        "early_stopping_rounds",
    ]
)
_LIGHTGBM = frozenset(
    [
        "n_estimators",
        "max_depth",
        "learning_rate",
        "num_leaves",
        "min_child_samples",
        "subsample",
        "colsample_bytree",
        "reg_alpha",
        "reg_lambda",
        "max_bin",
        "class_weight",
        "early_stopping_rounds",
    ]
)
_TREE_BLEND = frozenset(
    {f"boosting_{name}" for name in _BOOSTING - {"class_weight"}}
    | {f"extra_trees_{name}" for name in _FOREST - {"class_weight"}}
)

ALGORITHMS: dict[str, AlgorithmEntry] = {
    "logistic_regression": AlgorithmEntry(
        CLASSIFICATION, frozenset({"C", "l1_ratio", "solver", "class_weight", "max_iter"})
    ),
    "linear_svm": AlgorithmEntry(CLASSIFICATION, frozenset({"C", "class_weight"})),
    "svm": AlgorithmEntry(CLASSIFICATION, frozenset({"C", "kernel", "gamma", "class_weight"})),
    "linear_regression": AlgorithmEntry(REGRESSION, frozenset()),
    "ridge": AlgorithmEntry(REGRESSION, frozenset({"alpha", "max_iter"})),
    "decision_tree": AlgorithmEntry(BOTH, _TREE),
    "random_forest": AlgorithmEntry(BOTH, _FOREST),
    "extra_trees": AlgorithmEntry(BOTH, _FOREST),
    "gradient_boosting": AlgorithmEntry(BOTH, _BOOSTING),
    "tree_blend": AlgorithmEntry(REGRESSION, _TREE_BLEND),
    "xgboost": AlgorithmEntry(BOTH, _XGBOOST, accepts_missing=True),
    "lightgbm": AlgorithmEntry(BOTH, _LIGHTGBM, accepts_missing=True),
}

METRICS: dict[str, frozenset[str]] = {
    "accuracy": CLASSIFICATION,
    "f1_macro": CLASSIFICATION,
    "f1_weighted": CLASSIFICATION,
    "precision_macro": CLASSIFICATION,
    "precision_weighted": CLASSIFICATION,
    "recall_macro": CLASSIFICATION,
    "recall_weighted": CLASSIFICATION,
    "roc_auc": CLASSIFICATION,
    "pr_auc": CLASSIFICATION,
    "log_loss": CLASSIFICATION,
    "brier": CLASSIFICATION,
    "calibration_error": CLASSIFICATION,
    "rmse": REGRESSION,
    "mse": REGRESSION,
    "mae": REGRESSION,
    "mape": REGRESSION,
    "r2": REGRESSION,
}

# Drift statistics, named rules and triggers; `noria.monitoring` implements them.
DRIFT_STATISTICS = frozenset(
    {
        "ks",
        "chi_square",
        "psi",
        "jensen_shannon",
        "wasserstein",
        "mean_shift",
        "term_shares",
        "missing_share",
    }
)
DRIFT_RULES = frozenset(
    {
        "text_score",
        "drifted_share",
        "class_share",
        "mean_shift",
        "low_confidence",
        "mean_confidence",
    }
)
TRIGGERS = frozenset(
    {
        "data_drift",
        "prediction_drift",
        "confidence",
        "class_skew",
        "performance",
        "estimated_performance",
        "age",
        "new_rows",
        "new_file",
    }
)
