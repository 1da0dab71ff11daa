"""One model of every exported kind, trained by Noria's steps, and its usual counterpart."""

import csv
import io
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_regression
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.data.versions import decode_rows
from noria.inference.golden import GoldenRow, verify
from noria.inference.predictor import Predictor
from noria.spec.loader import parse_spec
from noria.spec.section import Task
from noria.steps.fit_feature_views import FitFeatureViewsRequest, fit_feature_views
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.steps.train_candidate import TrainCandidateRequest, train_candidate
from noria.storage.keys import GOLDEN, candidate_key
from noria.training.algorithms import build
from noria_aws.aws.clock import SystemClock
from tests.benchmarks.size import sized
from tests.support.fakes import MemoryArtifacts

_N_TEXTS = sized(3000, smoke=400)
_N_CLASSES, _N_TABULAR, _N_COLUMNS = 12, 3000, 13
_FOREST = {"n_estimators": 100, "max_depth": 20}
_BOOSTING = {"n_estimators": 150, "max_depth": 4, "learning_rate": 0.1}
# Kind -> (task, algorithm, parameters); text kinds are many-class, tabular ones regressions.
KINDS: dict[str, tuple[Task, str, dict[str, Any]]] = {
    "text linear": ("classification", "logistic_regression", {"C": 5.0}),
    "text calibrated SVM": ("classification", "linear_svm", {}),
    "text forest": ("classification", "random_forest", _FOREST),
    "text boosting": ("classification", "xgboost", {"n_estimators": 100, "max_bin": 32}),
    "tabular linear": ("regression", "ridge", {}),
    "tabular forest": ("regression", "random_forest", _FOREST),
    "tabular boosting": ("regression", "gradient_boosting", _BOOSTING),
    "tabular XGBoost": ("regression", "xgboost", _BOOSTING),
    "tabular LightGBM": ("regression", "lightgbm", _BOOSTING),
}


@dataclass
class Trained:
    """Both forms of one kind of model, on disk, with rows to ask them."""

    bundle_folder: Path
    pipeline_file: Path
    rows: list[dict[str, Any]]
    parity: float
    precision: str


def train(kind: str, folder: Path) -> Trained:
    """Train one kind both ways and save it under `folder`."""
    task, algorithm, params = KINDS[kind]
    rows = _texts() if task == "classification" else _table()
    folder = folder / kind.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    parity, precision = _save_bundle(rows, (task, algorithm, params), folder)
    _save_pipeline(rows, (task, algorithm, params), folder / "pipeline.joblib")
    inputs = [{k: v for k, v in row.items() if k != "y"} for row in rows[:300]]
    return Trained(folder, folder / "pipeline.joblib", inputs, parity, precision)


def _save_bundle(
    rows: list[dict[str, Any]], model: tuple[Task, str, dict[str, Any]], folder: Path
) -> tuple[float, str]:
    task, algorithm, params = model
    spec = parse_spec(_spec_text(rows[0], task, algorithm, params), source="bench.toml")
    artifacts = MemoryArtifacts()
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    artifacts.put("inbox/rows.csv", buffer.getvalue().encode())
    dataset = prepare_dataset(
        PrepareDatasetRequest("bench", "run", ("inbox/rows.csv",)), spec=spec, artifacts=artifacts
    )
    if dataset.dataset_version is None:
        raise RuntimeError(f"benchmark rows rejected: {dataset.reasons}")
    version = dataset.dataset_version
    fit_feature_views(
        FitFeatureViewsRequest("bench", "run", version), spec=spec, artifacts=artifacts
    )
    train_candidate(
        TrainCandidateRequest("bench", "run", version, "only"),
        spec=spec, artifacts=artifacts, clock=SystemClock(), code={},
    )  # fmt: skip
    files = {}
    for name in (BUNDLE_FILE, ARRAYS_FILE):
        files[name] = artifacts.get(candidate_key("bench", "run", "only", name))
        (folder / name).write_bytes(files[name])
    predictor = Predictor(files)
    body = artifacts.get(candidate_key("bench", "run", "only", GOLDEN))
    golden = [GoldenRow(**row) for row in decode_rows(body)]
    return verify(predictor, golden), predictor.precision


def _save_pipeline(
    rows: list[dict[str, Any]], model: tuple[Task, str, dict[str, Any]], path: Path
) -> None:
    """Save what a practitioner would: a scikit-learn pipeline fitted on a data frame."""
    task, algorithm, params = model
    frame = pd.DataFrame(rows)
    columns = [name for name in frame.columns if name != "y"]
    if task == "classification":
        features: Any = ColumnTransformer(
            [("text", TfidfVectorizer(max_features=5000, ngram_range=(1, 2)), "text")]
        )
        y = frame["y"].astype(int).to_numpy()
    else:
        numeric = Pipeline([("impute", SimpleImputer()), ("scale", StandardScaler())])
        features = ColumnTransformer([("numeric", numeric, columns)])
        y = frame["y"].to_numpy()
    # The peer loads with scikit-learn alone, so nothing of ours may be pickled into it.
    estimator = (
        CalibratedClassifierCV(LinearSVC(random_state=42), ensemble=False)
        if algorithm == "linear_svm"
        else build(algorithm, task, params, seed=42)
    )
    joblib.dump(Pipeline([("features", features), ("model", estimator)]).fit(frame, y), path)


def _spec_text(row: dict[str, Any], task: str, algorithm: str, params: dict[str, Any]) -> str:
    columns = [name for name in row if name != "y"]
    is_text = task == "classification"
    column_type = "text" if is_text else "number"
    declared = "\n".join(f'{name} = {{ type = "{column_type}" }}' for name in columns)
    feature = (
        'kind = "text"\nstop_words = "spanish"\nstemming = "spanish"\nngrams = [1, 2]'
        if is_text
        else 'kind = "numeric"'
    )
    metric, split = ("f1_macro", "stratified") if is_text else ("rmse", "random")
    settings = ", ".join(f"{key} = {value}" for key, value in params.items())
    return f"""
[project]
name = "bench"
task = "{task}"
description = "benchmark"
[dataset]
duplicates = "keep"
[dataset.columns]
{declared}
[target]
column = "y"
[split]
kind = "{split}"
[[features]]
name = "all"
columns = {columns}
{feature}
[[candidates]]
name = "only"
algorithm = "{algorithm}"
params = {{ {settings} }}
[evaluation]
primary_metric = "{metric}"
metrics = ["{metric}"]
folds = 2
"""


def _texts() -> list[dict[str, Any]]:
    """Return Spanish-looking texts of 8 to 40 words, word frequencies as in language (Zipf)."""
    rng = random.Random(7)
    syllables = ["ca", "rre", "mi", "sol", "tar", "pe", "ñu", "gó", "lla", "dor", "fe", "qui"]
    words = ["".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(4000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    topics = [rng.sample(words[50:], 40) for _ in range(_N_CLASSES)]
    rows = []
    for _ in range(_N_TEXTS):
        label = rng.randrange(_N_CLASSES)
        common = rng.choices(words, weights, k=rng.randint(6, 30))
        text = common + rng.choices(topics[label], k=rng.randint(2, 10))
        rng.shuffle(text)
        rows.append({"text": " ".join(text), "y": label})
    return rows


def _table() -> list[dict[str, Any]]:
    X, y = make_regression(_N_TABULAR, _N_COLUMNS, n_informative=9, noise=10, random_state=7)
    X[np.random.default_rng(7).random(X.shape) < 0.03] = np.nan
    return [
        {**{f"c{i}": None if np.isnan(v) else v for i, v in enumerate(row)}, "y": target}
        for row, target in zip(X.tolist(), y.tolist(), strict=True)
    ]
