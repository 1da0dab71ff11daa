"""What a spec may name beside algorithms: metrics, statistics, rules, triggers, kinds of files.

The implementations are elsewhere (`noria.evaluation.metrics`, `noria.monitoring`); tests keep the
names equal. The catalog exists so that a spec is checked without importing them.
"""

from typing import NamedTuple

from noria.spec.algorithms import CLASSIFICATION, REGRESSION

# Files of rows; .json is JSON lines too.
ROW_SUFFIXES = (".csv", ".jsonl", ".json", ".csv.gz", ".jsonl.gz", ".json.gz")
PARQUET = ".parquet"
BATCH_SUFFIXES = (*ROW_SUFFIXES, PARQUET)


class MetricEntry(NamedTuple):
    """One metric: the tasks it measures and the range of its values, inclusive."""

    tasks: frozenset[str]
    low: float | None
    high: float | None


_SHARE = MetricEntry(CLASSIFICATION, 0.0, 1.0)
_ERROR = MetricEntry(REGRESSION, 0.0, None)

METRICS: dict[str, MetricEntry] = {
    "accuracy": _SHARE,
    "f1_macro": _SHARE,
    "f1_weighted": _SHARE,
    "precision_macro": _SHARE,
    "precision_weighted": _SHARE,
    "recall_macro": _SHARE,
    "recall_weighted": _SHARE,
    "roc_auc": _SHARE,
    "pr_auc": _SHARE,
    "log_loss": MetricEntry(CLASSIFICATION, 0.0, None),
    "brier": MetricEntry(CLASSIFICATION, 0.0, 2.0),  # 1 of two classes
    "calibration_error": _SHARE,
    "rmse": _ERROR,
    "mse": _ERROR,
    "mae": _ERROR,
    "mape": _ERROR,
    "r2": MetricEntry(REGRESSION, None, 1.0),
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
        "calibration",
        "estimated_performance",
        "age",
        "new_rows",
        "new_file",
        "growth",
    }
)
