"""Cross-validate one candidate, refit its best parameters, export its serving bundle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from noria.bundle.exporters import export
from noria.bundle.format import pack
from noria.data.versions import TRAIN, encode_rows, read_rows
from noria.evaluation.metrics import is_better
from noria.features.matrix import from_bytes, stack_rows
from noria.features.view import FeatureView
from noria.hashing import canonical_json
from noria.inference.golden import golden_inputs
from noria.layout import candidate_key, run_key
from noria.ports import ArtifactStore
from noria.spec.loader import spec_hash
from noria.spec.model import CandidateSection, ProjectSpec
from noria.steps.fit_feature_views import ALL_ROWS, FEATURE_VIEW, TARGETS, fold_name
from noria.steps.verify_bundle import GOLDEN
from noria.training.cross_validation import Fold, Trial, cross_validate, fit, outputs
from noria.training.search import parameter_sets

RESULT = "result.json"


@dataclass(frozen=True)
class TrainCandidateRequest:
    """Which candidate of which run."""

    project: str
    run_id: str
    dataset_version: str
    candidate: str


@dataclass(frozen=True)
class TrainCandidateResult:
    """How well it did in cross-validation."""

    candidate: str
    metric: str
    cv_mean: float
    n_trials: int


def train_candidate(
    request: TrainCandidateRequest, *, spec: ProjectSpec, artifacts: ArtifactStore
) -> TrainCandidateResult:
    """Train one candidate on features that are already computed.

    Reads the run's features and, for the golden rows, the training rows; writes
    `runs/<project>/<run_id>/candidates/<candidate>/`: the serving bundle, its golden rows with
    what the training pipeline answers, and, last, `result.json`. A run that is started again
    keeps the candidates it has finished.
    """
    candidate = next(c for c in spec.candidates if c.name == request.candidate)
    metric, subject = spec.evaluation.primary_metric, _subject(request, spec)
    done_key = candidate_key(spec.name, request.run_id, request.candidate, RESULT)
    if artifacts.exists(done_key):
        done = json.loads(artifacts.get(done_key))
        if done["subject"] == subject:
            n_trials = len(done["trials"])
            return TrainCandidateResult(candidate.name, metric, done["cv_mean"], n_trials)
    run = _Run(request, spec, artifacts)
    trials = cross_validate(
        candidate.algorithm,
        spec.project.task,
        parameter_sets(candidate, spec.search),
        run.folds(),
        metric=metric,
        seed=spec.search.seed,
    )
    best = trials[0]
    for trial in trials[1:]:
        best = trial if is_better(metric, trial.mean, best.mean) else best
    X, y = from_bytes(run.get(ALL_ROWS)), run.targets["y"]
    model = fit(candidate.algorithm, spec.project.task, best.params, (X, y), seed=spec.search.seed)
    for name, body in run.bundle(candidate, model).items():
        run.put(name, body)
    run.put(GOLDEN, run.golden(model))
    result = _result(candidate, metric, best, trials)
    run.put(RESULT, canonical_json({**result, "subject": subject}))
    return TrainCandidateResult(candidate.name, metric, best.mean, len(trials))


def _subject(request: TrainCandidateRequest, spec: ProjectSpec) -> dict[str, str]:
    """Return what a candidate's result is about: these rows under this spec."""
    return {"dataset_version": request.dataset_version, "spec_sha256": spec_hash(spec)}


class _Run:
    """The artifacts of one candidate in one run."""

    def __init__(
        self, request: TrainCandidateRequest, spec: ProjectSpec, artifacts: ArtifactStore
    ) -> None:
        self._request, self._spec, self._artifacts = request, spec, artifacts
        with np.load(BytesIO(self.get(TARGETS)), allow_pickle=False) as parts:
            self.targets = {name: parts[name] for name in parts}
        self._view = FeatureView(json.loads(self.get(FEATURE_VIEW)))
        self._sparse = any(feature.kind == "text" for feature in spec.features)

    def get(self, name: str) -> bytes:
        return self._artifacts.get(run_key(self._spec.name, self._request.run_id, name))

    def put(self, name: str, body: bytes) -> None:
        request = self._request
        key = candidate_key(self._spec.name, request.run_id, request.candidate, name)
        self._artifacts.put(key, body)

    def folds(self) -> list[Fold]:
        y = self.targets["y"]
        return [
            Fold(
                from_bytes(self.get(fold_name(number, "fit"))),
                y[self.targets[f"fit_{number}"]],
                from_bytes(self.get(fold_name(number, "score"))),
                y[self.targets[f"score_{number}"]],
            )
            for number in range(self._spec.evaluation.folds)
        ]

    def bundle(self, candidate: CandidateSection, model: Any) -> dict[str, bytes]:
        exported = export(model, self._view.width, sparse=self._sparse)
        columns = {n: c.model_dump(mode="json") for n, c in self._spec.dataset.columns.items()}
        description = {
            "project": self._spec.name,
            "task": self._spec.project.task,
            "classes": self._classes(),
            "columns": columns,
            "missing": list(self._spec.dataset.missing),
            "algorithm": candidate.algorithm,
            "feature_view": self._view.data,
            "model": exported.model,
            "precision": exported.precision,
        }
        return pack(description, exported.arrays)

    def golden(self, model: Any) -> bytes:
        rows = read_rows(self._artifacts, self._spec.name, self._request.dataset_version, TRAIN)
        columns = {n: {"type": c.type} for n, c in self._spec.dataset.columns.items()}
        inputs = golden_inputs(rows, columns)
        X = stack_rows(
            [self._view.transform(row) for row in inputs], self._view.width, sparse=self._sparse
        )
        expected = outputs(model, X, len(self._classes()) or 1)
        return encode_rows(
            {"inputs": row, "expected": answer}
            for row, answer in zip(inputs, expected.tolist(), strict=True)
        )

    def _classes(self) -> list[str]:
        if "classes" not in self.targets:
            return []
        names: list[str] = json.loads(self.targets["classes"].tobytes())
        return names


def _result(
    candidate: CandidateSection, metric: str, best: Trial, trials: list[Trial]
) -> Mapping[str, Any]:
    return {
        "candidate": candidate.name,
        "algorithm": candidate.algorithm,
        "metric": metric,
        "cv_mean": best.mean,
        "cv_scores": list(best.scores),
        "params": dict(best.params),
        "trials": [{"params": dict(t.params), "scores": list(t.scores)} for t in trials],
    }
