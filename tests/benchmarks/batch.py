"""`make bench-batch`: whole files, from file to file, beside pandas with scikit-learn.

Each side runs in a process of its own on one thread and reads and writes the same files: ours by
the batch job's own steps over a folder; (a) pandas and the fitted scikit-learn pipeline; (b) for
trees the same with ONNX Runtime, and with a boosted one's own library, on the transformed matrix.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from nltk.stem.snowball import SnowballStemmer
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder
from sklearn.svm import LinearSVC

from cli.samples.customers import CUSTOMER_COLUMNS, sample_customers
from cli.samples.files import csv_bytes
from cli.samples.tickets import TICKET_COLUMNS, sample_tickets
from infra.names import ROOT
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.data.schema_inference import spec_of_dataset
from noria.data.validation import TARGET
from noria.data.versions import read_rows
from noria.features.fitting import RowPreparer
from noria.records.prediction import Row
from noria.spec.loader import load_project
from noria.spec.model import ProjectSpec
from noria.steps.fit_feature_views import FitFeatureViewsRequest, fit_feature_views
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.steps.train_candidate import TrainCandidateRequest, train_candidate
from noria.storage.keys import REFERENCE, TRAIN, candidate_key
from noria.training.algorithms import build
from noria_aws.aws.clock import SystemClock
from tests.benchmarks.batch_ours import FOLDER, PROJECTS, report, source
from tests.benchmarks.report import Result, publish
from tests.benchmarks.size import IS_SMOKE, results_file, sized
from tests.support.fakes import MemoryArtifacts

_TRAINING_ROWS = sized(5000, smoke=500)
_CASES: dict[str, tuple[int, tuple[str, ...]]] = {
    "customers": (1_000_000, ("logistic_regression", "random_forest", "xgboost", "lightgbm")),
    "tickets": (200_000, ("logistic_regression", "linear_svm_everything")),
}
_SMALLEST: dict[str, tuple[int, tuple[str, ...]]] = {
    "customers": (1_000_000, ("xgboost",)),
    "tickets": (200_000, ("logistic_regression",)),
}
_OTHERS = {
    "random_forest": ("onnx",),
    "xgboost": ("native", "onnx"),
    "lightgbm": ("native", "onnx"),
}
_PEERS = {
    "usual": "(a) pandas + scikit-learn",
    "native": "(b) native booster",
    "onnx": "(b) ONNX Runtime",
}
_OURS = ("noria", "monitored")  # without and with the check of the rows
_PAIRS = sized(4, smoke=1)  # of both, in turn: they differ by less than two runs of one do
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS"), "1")
_WORD = re.compile(r"[^\W\d_]+")


def main() -> None:
    """Train, measure every side, print the table and write `build/batch.json`."""
    share = sized(1.0, smoke=0.002)
    results = []
    for project, (n_wanted, candidates) in sized(_CASES, smoke=_SMALLEST).items():
        n_rows = int(n_wanted * share)
        _make_files(project, n_rows)
        for candidate in candidates:
            _train(project, candidate)
            sides = ("noria", "usual", *_others(candidate))
            found = {side: _child(side, project, candidate, n_rows) for side in sides}
            small = _child("noria", project, candidate, n_rows // 4)
            watched = _child("monitored", project, candidate, n_rows // 4)
            pairs = [
                {side: _child(side, project, candidate, n_rows) for side in _OURS}
                for _ in range(_PAIRS)
            ]
            shown = {"quarter": small, "monitored quarter": watched, "pairs": pairs}
            print(json.dumps({project: candidate, **found, **shown}), flush=True)
            results += _judged(f"{project}, {candidate}", n_rows, found, small)
            results += _monitored(f"{project}, {candidate}", pairs, watched)
    publish(results, results_file("batch.json"))


def _others(candidate: str) -> tuple[str, ...]:
    """Return the other peers; a smoke goes without those that only the whole benchmark installs."""
    peers = _OTHERS.get(candidate, ())
    if IS_SMOKE and find_spec("onnxruntime") is None:
        return tuple(peer for peer in peers if peer != "onnx")
    return peers


def _judged(name: str, n_rows: int, found: dict[str, Any], small: dict[str, Any]) -> list[Result]:
    ours, usual = found["noria"], found["usual"]
    per_row = {side: run["seconds"] / n_rows for side, run in found.items()}
    best = min((side for side in found if side != "noria"), key=per_row.__getitem__)
    goal = 1.0 if len(found) > 2 else 0.5  # trees have other peers too
    return [
        Result.against(
            f"{name}: a row", "s", (per_row["noria"], per_row[best]), _PEERS[best], goal
        ),
        Result.within(
            f"{name}: peak memory", "bytes", ours["peak_bytes"], usual["peak_bytes"] / 4,
            ("(a)", usual["peak_bytes"]),
        ),
        Result.within(
            f"{name}: memory of the whole over a quarter", "", ours["peak_bytes"] / small["peak_bytes"], 1.25
        ),
    ]  # fmt: skip


def _monitored(
    name: str, pairs: Sequence[Mapping[str, Any]], small: Mapping[str, Any]
) -> list[Result]:
    """Return what it costs to profile all rows and compare them with training."""
    fastest = {side: min(pair[side]["cpu_seconds"] for pair in pairs) for side in _OURS}
    more = fastest["monitored"] / fastest["noria"]
    memory = pairs[0]["monitored"]["peak_bytes"] / small["peak_bytes"]
    monitored = [pair["monitored"] for pair in pairs]  # in one process noise is of both alike
    share = min(run["profile"] / (run["score"] - run["profile"]) for run in monitored)
    return [
        Result.within(f"{name}: profile of the rows over the rest of scoring", "", share, 0.10),
        Result.within(f"{name}: processor time with monitoring over without", "", more, 1.10),
        Result.within(f"{name}: memory with it, the whole over a quarter", "", memory, 1.25),
    ]


def _make_files(project: str, n_rows: int) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for rows in (n_rows, n_rows // 4):
        path = source(project, rows)
        if path.exists():
            continue
        if project == "customers":
            body = csv_bytes(CUSTOMER_COLUMNS, sample_customers(rows, seed=7))
        else:
            body = csv_bytes(TICKET_COLUMNS, sample_tickets(rows, seed=7))
        path.write_bytes(body)


def _train(project: str, candidate: str) -> None:
    """Train by Noria's steps, and fit the pipeline that a practitioner would."""
    spec = load_project(project, PROJECTS)
    none = spec.search.model_copy(update={"kind": "none"})
    spec = spec.model_copy(
        update={
            "search": none,
            "candidates": tuple(c for c in spec.candidates if c.name == candidate),
        }
    )
    artifacts = MemoryArtifacts()
    generate: Any = sample_customers if project == "customers" else sample_tickets
    columns = CUSTOMER_COLUMNS if project == "customers" else TICKET_COLUMNS
    artifacts.put("inbox/rows.csv", csv_bytes(columns, generate(_TRAINING_ROWS)))
    here: dict[str, Any] = {"spec": spec, "artifacts": artifacts}
    request = PrepareDatasetRequest(project, "r", ("inbox/rows.csv",))
    version = str(prepare_dataset(request, **here).dataset_version)
    fit_feature_views(FitFeatureViewsRequest(project, "r", version), **here)
    train_candidate(
        TrainCandidateRequest(project, "r", version, candidate),
        clock=SystemClock(),
        code={},
        **here,
    )
    for name in (BUNDLE_FILE, ARRAYS_FILE, REFERENCE):
        body = artifacts.get(candidate_key(project, "r", candidate, name))
        (FOLDER / f"{project}-{candidate}-{name}").write_bytes(body)
    rows = read_rows(artifacts, project, version, TRAIN)
    pipeline = _pipeline(spec_of_dataset(artifacts, spec, version), rows)
    joblib.dump(pipeline, FOLDER / f"{project}-{candidate}.joblib")
    if "onnx" in _others(candidate):
        (FOLDER / f"{project}-{candidate}.onnx").write_bytes(_as_onnx(pipeline[0][-1]))


def _pipeline(spec: ProjectSpec, rows: list[Row]) -> Any:
    frame = pd.DataFrame(rows)
    columns = spec.dataset.columns
    texts = [name for name, column in columns.items() if column.type == "text"]
    (candidate,) = spec.candidates
    params = dict(candidate.params)
    if texts:
        frame = frame[texts].fillna("").agg(" ".join, axis=1).to_frame("text")
        (step,) = spec.selections[str(candidate.selection)]
        preparer = RowPreparer(spec)
        prepared = zip(preparer.settings, preparer.features, strict=True)
        features: Any = ColumnTransformer(
            [(f.name, _vectorizer(data, f), "text") for data, f in prepared if f.name in step.names]
        )
    else:
        numbers = [name for name, column in columns.items() if column.type == "number"]
        others = [name for name, column in columns.items() if column.type == "category"]
        known = OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist")
        features = ColumnTransformer(
            [
                (
                    "numbers",
                    make_pipeline(SimpleImputer(strategy="median"), MinMaxScaler()),
                    numbers,
                ),
                ("others", make_pipeline(SimpleImputer(strategy="most_frequent"), known), others),
            ],
            sparse_threshold=0.0,
        )
    labels = np.array([row[TARGET] for row in rows])
    classes, y = np.unique(labels, return_inverse=True)
    model = (
        CalibratedClassifierCV(LinearSVC(), ensemble=False)
        if candidate.algorithm == "linear_svm"
        else build(candidate.algorithm, "classification", params, seed=42)
    )
    return make_pipeline(features, model).fit(frame, y), list(classes), texts


class _Analyzer:
    """Clean, drop stop words, stem, pair: as the ticket system that Noria replaces does."""

    def __init__(self, stop_words: Iterable[str], ngrams: Sequence[int]) -> None:
        self._stop, self._ngrams = frozenset(stop_words), ngrams
        self._stem = SnowballStemmer("spanish").stem

    def __call__(self, text: str) -> list[str]:
        text = re.sub(r"\[.*?\]|https?://\S+|www\.\S+|<.*?>+", "", text.lower())
        stems = [self._stem(word) for word in _WORD.findall(text) if word not in self._stop]
        grams = list(stems)
        for size in range(2, self._ngrams[1] + 1):
            grams += [" ".join(stems[i : i + size]) for i in range(len(stems) - size + 1)]
        return grams


def _vectorizer(settings: Mapping[str, Any], feature: Any) -> Any:
    """Return scikit-learn's vectorizer of one text feature of the spec."""
    common = {
        "max_features": feature.max_features,
        "min_df": feature.min_df,
        "sublinear_tf": feature.sublinear_tf,
    }
    if feature.analyzer == "char_wb":
        return TfidfVectorizer(analyzer="char_wb", ngram_range=tuple(feature.ngrams), **common)
    return TfidfVectorizer(analyzer=_Analyzer(settings["stop_words"], feature.ngrams), **common)


def _child(side: str, project: str, candidate: str, n_rows: int) -> dict[str, Any]:
    module = "tests.benchmarks.batch" + ("_ours" if side in _OURS else "")
    command = [
        sys.executable,
        "-m",
        module,
        side,
        project,
        candidate,
        str(n_rows),
    ]
    environment = {**os.environ, **_ONE_THREAD}
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _as_onnx(model: Any) -> bytes:
    import onnxmltools  # only training pays for these: sides are measured
    import skl2onnx
    from onnxmltools.convert.common.data_types import FloatTensorType

    shape = [None, model.n_features_in_]
    if hasattr(model, "get_booster"):
        made = onnxmltools.convert_xgboost(model, initial_types=[("X", FloatTensorType(shape))])
    elif hasattr(model, "booster_"):
        made = onnxmltools.convert_lightgbm(
            model, initial_types=[("X", FloatTensorType(shape))], zipmap=False
        )
    else:
        made = skl2onnx.convert_sklearn(
            model,
            initial_types=[("X", skl2onnx.common.data_types.FloatTensorType(shape))],
            options={id(model): {"zipmap": False}},
        )
    body: bytes = made.SerializeToString()
    return body


def _usual(project: str, candidate: str, n_rows: int, *, side: str) -> None:
    pipeline, classes, texts = joblib.load(FOLDER / f"{project}-{candidate}.joblib")
    started = time.perf_counter()
    frame = pd.read_csv(source(project, n_rows), na_values=["unknown"])
    inputs = frame
    if texts:
        inputs = frame[texts].fillna("").agg(" ".join, axis=1).to_frame("text")
    if side == "native":
        shares = _natively(pipeline, inputs)
    elif side == "onnx":
        shares = _by_onnx(pipeline, inputs, FOLDER / f"{project}-{candidate}.onnx")
    else:
        shares = pipeline.predict_proba(inputs)
    out = frame[[name for name in ("key_value", "codunicocli", "number") if name in frame]].copy()
    out["prediction"] = np.array(classes)[shares.argmax(axis=1)]
    for place, name in enumerate(classes):
        out[f"p_{name}"] = shares[:, place]
    if "monto" in frame:
        out["business_value"] = (
            shares[:, -1] * frame["prob_value_contact"] * np.log(frame["monto"].clip(lower=1.0))
        )
        out["band"] = pd.qcut(out["business_value"], 3, labels=["low", "medium", "high"])
    out.to_csv(FOLDER / "peer.csv", index=False)
    report(started)


def _natively(pipeline: Any, inputs: Any) -> Any:
    X = pipeline[0].transform(inputs)
    model = pipeline[-1]
    if hasattr(model, "get_booster"):
        positive = model.get_booster().inplace_predict(X.astype(np.float32))
    else:
        positive = model.booster_.predict(X, num_threads=1)
    return np.column_stack([1.0 - positive, positive])


def _by_onnx(pipeline: Any, inputs: Any, path: Path) -> Any:
    import onnxruntime  # only its own side pays for it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    X = pipeline[0].transform(inputs).astype(np.float32)
    return session.run(None, {session.get_inputs()[0].name: X})[1]


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        side, of, name, rows = sys.argv[1:]
        _usual(of, name, int(rows), side=side)
