"""Performance estimated without labels beside the labels, on real sets.

`make bench-estimates` trains on a part of each set, cuts the rest into windows, estimates each
window's metric from answers alone and compares with what the labels say. Without drift (shuffled
windows) the interval should hold the truth in nine of ten; under drift (later or other rows) the
estimate should move the way the truth does, or stay where only labels could tell.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from infra.names import SPECS
from noria.data.validation import TARGET
from noria.evaluation.metrics import METRICS, Answers, measure
from noria.monitoring.performance import estimated
from noria.monitoring.reference import Reference, as_answers, as_records
from tests.benchmarks.data import data_files
from tests.benchmarks.quality import changed, read_files, trained
from tests.benchmarks.size import results_file, sized

_WINDOW = 200  # rows
_TRAIN_SHARE = 0.5
_MAX_ROWS = sized(6000, smoke=1500)
_OWN_SPECS = Path(__file__).parent / "specs"


@dataclass(frozen=True)
class Case:
    """One set, and what it is measured by."""

    name: str
    files: str
    spec: Path
    candidate: str
    metrics: tuple[str, ...]
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    drifted: str | None = None  # files whose rows come from elsewhere, or "last file"


_KEEP: dict[str, dict[str, Any]] = {
    "dataset": {"duplicates": "keep"},
    "split": {"kind": "stratified"},
}
_MACRO: dict[str, dict[str, Any]] = {
    "evaluation": {"primary_metric": "f1_macro"},
    "target": {"min_rows_per_class": 15},
}
CASES = (
    Case("tickets, GLPI 2022", "tickets/glpi_es_2022.csv", SPECS / "tickets.toml",
         "logistic_regression_everything", ("accuracy", "f1_weighted"), {**_KEEP, **_MACRO},
         drifted="tickets/glpi_es_2021_2025_hard_*.csv"),
    Case("messages, Yelp", "messages/yelp_reviews_*.csv.gz", SPECS / "messages.toml",
         "logistic_regression_text", ("accuracy", "f1_macro"), _KEEP),
    Case("customers, bank", "customers/bank_additional_p[1-5]*.csv", SPECS / "customers.toml",
         "logistic_regression", ("roc_auc", "accuracy"), _KEEP, drifted="last file"),
    Case("customers, telco", "customers/telco_churn.csv", SPECS / "customers.toml",
         "logistic_regression", ("roc_auc", "accuracy"), _KEEP),
    Case("customers, credit", "customers/credit_data.csv", SPECS / "customers.toml",
         "xgboost", ("roc_auc", "accuracy"), _KEEP),
    Case("California", "housing/california_housing.csv", _OWN_SPECS / "california.toml",
         "xgboost", ("rmse", "mae"), {}),
)  # fmt: skip


def main() -> None:
    """Measure every case and write `build/estimates.json`."""
    table = Table(title=f"Estimated and realised, windows of {_WINDOW} rows")
    for column in (
        "set",
        "metric",
        "windows",
        "covered",
        "under drift: truth",
        "estimate",
        "direction",
    ):
        table.add_column(column)
    found = []
    for case in sized(CASES, smoke=CASES[2:3]):
        if not data_files(case.files):
            print(f"skipped: {case.files} is not there (set NORIA_DATA)")
            continue
        for result in _measured(case):
            found.append(result)
            print(result, flush=True)
            drift = result["drift"]
            table.add_row(
                case.name,
                result["metric"],
                str(result["n_windows"]),
                f"{result['covered']:.0%}",
                "" if drift is None else f"{drift['reference']:.3f} → {drift['truth']:.3f}",
                "" if drift is None else f"{drift['estimate']:.3f}",
                "" if drift is None else drift["direction"],
            )
    Console(width=130).print(table)
    results_file("estimates.json").write_text(json.dumps(found, indent=2) + "\n")
    n_windows = sum(r["n_windows"] for r in found)
    covered = sum(r["covered"] * r["n_windows"] for r in found) / n_windows
    print(f"wrote estimates.json; {covered:.1%} of {n_windows} windows without drift are covered")


def _measured(case: Case) -> list[dict[str, Any]]:
    declared = changed(_spec(case), case.changes)
    paths = data_files(case.files)
    spec, inferred, files = read_files(declared, paths)
    drifted: list[dict[str, Any]] = []
    if case.drifted == "last file":
        drifted = files.pop()
    elif case.drifted:
        drifted = [r for f in read_files(declared, data_files(case.drifted))[2] for r in f]
    rows = [row for file in files for row in file]
    rng = np.random.default_rng(0)
    order = rng.permutation(len(rows))[:_MAX_ROWS]
    cut = round(_TRAIN_SHARE * len(order))
    train, rest = ([rows[i] for i in part] for part in (order[:cut], order[cut:]))
    _, predictor, body = trained(declared, inferred, train, rest)
    reference = Reference.from_bytes(body)
    if predictor.classes:
        rest, drifted = (
            [row for row in part if row[TARGET] in predictor.classes] for part in (rest, drifted)
        )
    del spec
    results = []
    for metric in case.metrics:
        windows = [rest[i : i + _WINDOW] for i in range(0, len(rest) - _WINDOW + 1, _WINDOW)]
        pairs = [_compared(metric, reference, predictor, window) for window in windows]
        covered = [found.low <= truth <= found.high for found, truth in pairs]
        results.append(
            {
                "set": case.name,
                "metric": metric,
                "n_windows": len(windows),
                "covered": float(np.mean(covered)),
                "drift": _drift(metric, reference, predictor, drifted) if drifted else None,
            }
        )
    return results


def _spec(case: Case) -> Any:
    from noria.spec.loader import load_spec

    spec = load_spec(case.spec)
    chosen = tuple(c for c in spec.candidates if c.name == case.candidate)
    names = tuple(dict.fromkeys((*spec.evaluation.metrics, *case.metrics)))
    evaluation = spec.evaluation.model_copy(update={"metrics": names})
    return spec.model_copy(update={"candidates": chosen, "evaluation": evaluation})


def _compared(
    metric: str, reference: Reference, predictor: Any, rows: list[Any]
) -> tuple[Any, float]:
    outputs = np.array([predictor.score(row) for row in rows])
    if predictor.classes:
        decided = np.array([predictor.decide(list(row)) for row in outputs])
        truth = np.array([predictor.classes.index(row[TARGET]) for row in rows])
        answers = Answers(outputs, decided)
    else:
        truth, answers = np.array([row[TARGET] for row in rows]), Answers(outputs, None)
    records = as_records([*as_answers(predictor.classes, answers)])
    found = estimated(metric, reference, reference.of(records))
    assert found is not None
    return found, measure(metric, truth, answers)


def _drift(metric: str, reference: Reference, predictor: Any, rows: list[Any]) -> dict[str, Any]:
    found, truth = _compared(metric, reference, predictor, rows[:3000])
    sign = 1.0 if METRICS[metric].greater_is_better else -1.0
    real, seen = (sign * (value - found.reference) for value in (truth, found.value))
    is_moved = abs(real) > (found.high - found.low) / 2.0
    same = "right" if np.sign(real) == np.sign(seen) else "WRONG"
    return {
        "reference": found.reference,
        "truth": truth,
        "estimate": found.value,
        "direction": same if is_moved else "hardly moved",
    }


if __name__ == "__main__":
    main()
