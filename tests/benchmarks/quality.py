"""`make quality`: scores on real sets under their protocols, next to their recorded baselines.

"At or above": within 0.01 (classification) or 2 % (RMSE) of the better of the two baselines.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.model_selection import RepeatedKFold

from infra.config import ROOT
from noria.data.parsing import ByteBudget, read_records
from noria.data.splits import fold_indices
from noria.data.validation import TARGET, Validator
from noria.evaluation.metrics import is_better
from noria.features.fitting import RowPreparer, fit_feature_view
from noria.features.matrix import stack_rows
from noria.features.view import FeatureView
from noria.spec.loader import load_project, load_spec
from noria.spec.model import ProjectSpec
from noria.training.cross_validation import Fold, cross_validate, fit, outputs
from tests.benchmarks.data import data_file
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock
from tests.support.pipeline import run_training

_PROJECTS = ROOT / "layers" / "projects" / "python" / "projects"
_SPECS = Path(__file__).parent / "specs"


@dataclass(frozen=True)
class Score:
    """One metric on one set."""

    data: str
    protocol: str
    model: str  # what the selection chose
    metric: str
    baseline: float  # the better of quick and strong
    required: float
    ours: float
    holds: bool


def main() -> None:
    """Score every set that is there, print the table and write `build/quality.json`."""
    scores = [*_glpi(), *_housing()]
    table = Table(title="quality.json: real sets, their protocols, their baselines")
    columns = ("data", "protocol", "model", "metric", "baseline", "required", "ours", "holds")
    for column in columns:
        table.add_column(column)
    for s in scores:
        numbers = [f"{value:.4g}" for value in (s.baseline, s.required, s.ours)]
        table.add_row(s.data, s.protocol, s.model, s.metric, *numbers, "yes" if s.holds else "NO")
    Console(width=140).print(table)
    path = ROOT / "build" / "quality.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([asdict(score) for score in scores], indent=2) + "\n")


def _glpi() -> Iterator[Score]:
    """The whole pipeline: forward-chained selection on the first 80 %, one look at the last 20 %."""
    name = "tickets/glpi_es_2022.csv"
    path = data_file(name)
    if path is None:
        print(f"skipped: {name} is not there (set NORIA_DATA)")
        return
    spec, artifacts = load_spec(_SPECS / "glpi.toml"), MemoryArtifacts()
    artifacts.put("inbox/glpi.csv", path.read_bytes())
    run = run_training(
        spec,
        "inbox/glpi.csv",
        "quality",
        artifacts=artifacts,
        aliases=MemoryAliases(),
        clock=SteppingClock(),
    )
    metrics = json.loads(artifacts.get("runs/glpi/quality/evaluation.json"))["metrics"]
    protocol = "first 80 % by time -> last 20 %"
    for metric, baseline in (("f1_macro", 0.624), ("accuracy", 0.713)):
        ours = metrics[metric]
        required = baseline - 0.01
        chosen = str(run.candidate)
        yield Score(
            name, protocol, chosen, metric, baseline, required, ours, holds=ours >= required
        )


def _housing() -> Iterator[Score]:
    """Nested: in each outer fold the candidates are chosen by inner cross-validation."""
    name, baseline = "housing/HousingData.csv", 3.34
    path = data_file(name)
    if path is None:
        print(f"skipped: {name} is not there (set NORIA_DATA)")
        return
    spec = load_project("housing", _PROJECTS)
    validator = Validator(spec)
    with path.open("rb") as stream:
        validator.add_file(read_records(stream, path.name, ByteBudget(10**8)), path.name)
    rows = validator.result.rows
    errors, chosen = [], []
    # This protocol gives the recorded 4.95 of ridge and 3.71 of default boosting exactly.
    protocol = RepeatedKFold(n_splits=5, n_repeats=3, random_state=0)
    for fit_on, score_on in protocol.split(rows):
        name_of, predicted = _chosen_outputs(
            spec, [rows[i] for i in fit_on], [rows[i] for i in score_on]
        )
        chosen.append(name_of)
        truth = np.array([rows[i][TARGET] for i in score_on])
        errors.append(float(np.sqrt(np.mean((truth - np.array(predicted)) ** 2))))
    ours, required = float(np.mean(errors)), baseline * 1.02
    most = max(set(chosen), key=chosen.count)
    yield Score(
        name,
        "5-fold, 3 repeats, mean; selection inside",
        f"{most} ({chosen.count(most)} of {len(chosen)})",
        "rmse",
        baseline,
        required,
        ours,
        holds=ours <= required,
    )


def _chosen_outputs(
    spec: ProjectSpec, train: list[dict], test: list[dict]
) -> tuple[str, list[float]]:
    preparer = RowPreparer(spec.features)
    prepared = [preparer.prepare(row) for row in train]
    y = np.array([row[TARGET] for row in train])

    def fitted(indices: list[int]) -> FeatureView:
        part = [prepared[i] for i in indices]
        return FeatureView(fit_feature_view(spec.features, preparer.settings, part))

    folds = []
    columns = list(spec.dataset.columns)
    for fit_on, score_on in fold_indices(train, columns, spec.split, spec.evaluation.folds):
        view = fitted(fit_on)
        X = [
            stack_rows([view.apply(prepared[i]) for i in part], view.width, sparse=False)
            for part in (fit_on, score_on)
        ]
        folds.append(Fold(X[0], y[fit_on], X[1], y[score_on]))
    best, best_mean = spec.candidates[0], None
    for candidate in spec.candidates:
        (trial,) = cross_validate(
            candidate.algorithm, "regression", [candidate.params], folds, metric="rmse", seed=42
        )
        if best_mean is None or is_better("rmse", trial.mean, best_mean):
            best, best_mean = candidate, trial.mean
    view = fitted(list(range(len(train))))
    X_all = stack_rows([view.apply(p) for p in prepared], view.width, sparse=False)
    model = fit(best.algorithm, "regression", best.params, (X_all, y), seed=42)
    X_test = stack_rows([view.transform(row) for row in test], view.width, sparse=False)
    return best.name, outputs(model, X_test, 1)[:, 0].tolist()


if __name__ == "__main__":
    main()
