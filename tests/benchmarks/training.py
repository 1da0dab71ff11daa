"""`make bench-training`: a full search of the tickets project next to the usual way, CPU seconds.

The usual way refits the vectorizer in every fold of every trial, prunes nothing, and lets each
library use its defaults; the spaces, the folds and the number of trials are the same. Both sides
run in child processes of their own, on the same rows, one algorithm after the other. `TRIALS=50`
is the number the requirements name.
"""

import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from cli.samples.files import sample_files
from infra.names import ROOT
from noria.spec.loader import load_project
from noria.spec.model import CandidateSection, ProjectSpec, SearchRange
from noria.steps.fit_feature_views import FitFeatureViewsRequest, fit_feature_views
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.steps.train_candidate import TrainCandidateRequest, train_candidate
from noria.storage.keys import RESULT, TARGETS, candidate_key, run_key
from noria_aws.aws.clock import SystemClock
from tests.benchmarks.size import results_file, sized
from tests.support.fakes import MemoryArtifacts

_LINEAR = ("logistic_regression",)
_GOALS = {"all": 1 / 3, "linear": 1 / 8}
_NEVER = 1e9  # seconds: both sides run all their trials


def main() -> None:
    """Measure both sides, print the table and write `build/training.json`."""
    n_trials = sized(50, smoke=2)
    features = _child("features", "-", n_trials)
    rows = []
    for candidate in _spec(n_trials).candidates[: sized(None, smoke=1)]:
        sides = {side: _child(side, candidate.name, n_trials) for side in ("noria", "usual")}
        rows.append({"candidate": candidate.name, **sides})
        _show_line(rows[-1])
    document = {
        "n_trials": n_trials,
        "features_cpu_seconds": features["cpu_seconds"],
        "candidates": rows,
        "ratios": _ratios(rows, features["cpu_seconds"]),
    }
    _show(document)
    results_file("training.json").write_text(json.dumps(document, indent=2) + "\n")


def _spec(n_trials: int) -> ProjectSpec:
    spec = load_project("tickets", ROOT / "layers" / "projects" / "python" / "projects")
    search = spec.search.model_copy(update={"trials": n_trials, "max_seconds": _NEVER})
    # The seven algorithms and the feature they read: the usual way has no more.
    searched = tuple(candidate for candidate in spec.candidates if candidate.space)
    changes = {"search": search, "candidates": searched, "features": spec.features[:1]}
    return spec.model_copy(update={**changes, "selections": {}}).model_copy(
        update={"candidates": tuple(c.model_copy(update={"selection": None}) for c in searched)}
    )


def _child(side: str, candidate: str, n_trials: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.training", side, candidate, str(n_trials)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _prepared(spec: ProjectSpec) -> tuple[MemoryArtifacts, str]:
    artifacts = MemoryArtifacts()
    ((name, body),) = sample_files("tickets", n_rows=sized(1200, smoke=200))
    artifacts.put(f"inbox/{name}", body)
    request = PrepareDatasetRequest("tickets", "run", (f"inbox/{name}",))
    dataset = prepare_dataset(request, spec=spec, artifacts=artifacts)
    return artifacts, str(dataset.dataset_version)


def _features(spec: ProjectSpec) -> tuple[MemoryArtifacts, str]:
    """Compute the features of every fold, once for all candidates."""
    artifacts, version = _prepared(spec)
    request = FitFeatureViewsRequest("tickets", "run", version)
    fit_feature_views(request, spec=spec, artifacts=artifacts)
    return artifacts, version


def _noria(
    candidate: CandidateSection, spec: ProjectSpec, artifacts: MemoryArtifacts, version: str
) -> float:
    """Search as the training step does."""
    request = TrainCandidateRequest("tickets", "run", version, candidate.name)
    train_candidate(request, spec=spec, artifacts=artifacts, clock=SystemClock(), code={})
    result = json.loads(artifacts.get(candidate_key("tickets", "run", candidate.name, RESULT)))
    return float(result["cv_mean"])


def _usual(
    candidate: CandidateSection, spec: ProjectSpec, artifacts: MemoryArtifacts, version: str
) -> float:
    """Search as the replaced system does: one pipeline, cross_val_score, TPE."""
    import optuna
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline

    from noria.data.validation import TARGET
    from noria.data.versions import read_rows
    from noria.features.fitting import RowPreparer
    from noria.features.text import TextPreparer
    from noria.storage.keys import TRAIN

    rows = read_rows(artifacts, "tickets", version, TRAIN)
    cleaner = TextPreparer({**RowPreparer(spec).settings[0], "ngrams": [1, 1]})
    texts = [" ".join(cleaner.prepare(row)) for row in rows]
    labels = [int(row[TARGET]) for row in rows]
    with np.load(BytesIO(artifacts.get(run_key("tickets", "run", TARGETS)))) as parts:
        folds = [(parts[f"fit_{n}"], parts[f"score_{n}"]) for n in range(spec.evaluation.folds)]
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: Any) -> float:
        params = {name: _suggested(trial, name, v) for name, v in candidate.space.items()}
        vectorizer = TfidfVectorizer(max_features=5000, ngram_range=(1, 2), token_pattern=r"\S+")
        pipeline = make_pipeline(vectorizer, _default(candidate.algorithm, params))
        scores = cross_val_score(pipeline, texts, labels, cv=folds, scoring="f1_weighted")
        return float(scores.mean())

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=42))
    study.optimize(objective, n_trials=spec.search.trials)
    return float(study.best_value)


def _suggested(trial: Any, name: str, values: SearchRange | tuple[Any, ...]) -> Any:
    if not isinstance(values, SearchRange):
        return trial.suggest_categorical(name, values)
    if values.integer:
        return trial.suggest_int(name, int(values.low), int(values.high))
    return trial.suggest_float(name, values.low, values.high, log=values.log)


def _default(algorithm: str, params: dict[str, Any]) -> Any:
    """Return the estimator as one writes it: the library's defaults and the trial's parameters."""
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        GradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC
    from xgboost import XGBClassifier

    makers: dict[str, Any] = {
        "logistic_regression": lambda: LogisticRegression(
            max_iter=1000, solver="saga", random_state=42, **params
        ),
        "random_forest": lambda: RandomForestClassifier(random_state=42, **params),
        "extra_trees": lambda: ExtraTreesClassifier(random_state=42, **params),
        "gradient_boosting": lambda: GradientBoostingClassifier(random_state=42, **params),
        "svm": lambda: SVC(probability=True, random_state=42, **params),
        "xgboost": lambda: XGBClassifier(random_state=42, **params),
        "lightgbm": lambda: LGBMClassifier(random_state=42, verbosity=-1, **params),
    }
    return makers[algorithm]()


def _measure(side: str, name: str, n_trials: int) -> None:
    """Run one side in this process and print what it took."""
    spec = _spec(n_trials)
    if side == "features":
        _measured(lambda: float(bool(_features(spec))))
        return
    candidate = next(c for c in spec.candidates if c.name == name)
    search = {"noria": _noria, "usual": _usual}[side]
    artifacts, version = _features(spec)
    _measured(lambda: search(candidate, spec, artifacts, version))


def _measured(work: Callable[[], float]) -> None:
    """Print the CPU seconds of `work`, its result and the peak memory of the process."""
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score = work()
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"cpu_seconds": seconds, "score": score, "peak_rss_bytes": peak}))


def _ratios(rows: list[dict[str, Any]], features: float) -> dict[str, float]:
    """Return our CPU over theirs; the features that all share count by the candidate."""

    def ratio(chosen: list[dict[str, Any]]) -> float:
        ours, theirs = (sum(r[side]["cpu_seconds"] for r in chosen) for side in ("noria", "usual"))
        share = len(chosen) / len(rows)
        return float((features * share + ours) / theirs)

    return {
        "all": ratio(rows),
        "linear": ratio([row for row in rows if row["candidate"] in _LINEAR]),
    }


def _show_line(row: dict[str, Any]) -> None:
    ours, theirs = row["noria"], row["usual"]
    print(
        f"{row['candidate']:<22} {ours['cpu_seconds']:8.1f} s {theirs['cpu_seconds']:8.1f} s "
        f"{ours['score']:.4f} {theirs['score']:.4f}",
        flush=True,
    )


def _show(document: dict[str, Any]) -> None:
    table = Table(title=f"CPU of a search of {document['n_trials']} trials: Noria, the usual way")
    for column in ("candidate", "CPU", "usual", "ratio", "score", "usual", "peak", "usual"):
        table.add_column(column)
    for row in document["candidates"]:
        ours, theirs = row["noria"], row["usual"]
        table.add_row(
            row["candidate"],
            *(f"{side['cpu_seconds']:.1f} s" for side in (ours, theirs)),
            f"{ours['cpu_seconds'] / theirs['cpu_seconds']:.3f}",
            *(f"{side['score']:.4f}" for side in (ours, theirs)),
            *(f"{side['peak_rss_bytes'] / 1e6:.0f} MB" for side in (ours, theirs)),
        )
    Console(width=120).print(table)
    best = {
        side: max(row[side]["score"] for row in document["candidates"])
        for side in ("noria", "usual")
    }
    print(f"best score: {best['noria']:.4f}, the usual way {best['usual']:.4f}")
    for name, goal in _GOALS.items():
        ratio = document["ratios"][name]
        holds = "holds" if ratio <= goal else "MISSED"
        print(f"CPU ratio, {name}: {ratio:.3f} (goal <= {goal:.3f}: {holds})")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        main()
