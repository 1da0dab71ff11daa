"""Fit the feature view once a fold and once on all training rows, for every candidate to share."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from noria.data.splits import fold_indices
from noria.data.validation import TARGET
from noria.data.versions import TRAIN, read_rows
from noria.errors import TrainingFailedError
from noria.features.fitting import RowPreparer, fit_feature_view
from noria.features.matrix import Matrix, stack_rows, to_bytes
from noria.features.view import FeatureView
from noria.hashing import canonical_json
from noria.layout import run_key
from noria.ports import ArtifactStore
from noria.spec.model import ProjectSpec

FEATURE_VIEW, ALL_ROWS, TARGETS = "feature_view.json", "features/all.npz", "features/targets.npz"


@dataclass(frozen=True)
class FitFeatureViewsRequest:
    """Which dataset version."""

    project: str
    run_id: str
    dataset_version: str


@dataclass(frozen=True)
class FitFeatureViewsResult:
    """What the candidates of this run are."""

    candidates: tuple[str, ...]
    backend: str
    n_folds: int
    n_features: int


def fit_feature_views(
    request: FitFeatureViewsRequest, *, spec: ProjectSpec, artifacts: ArtifactStore
) -> FitFeatureViewsResult:
    """Compute the features of every fold and of the whole training set.

    Reads the training rows; writes `runs/<project>/<run_id>/features/`. The test rows are not
    touched. Text is cleaned and stemmed once for all folds.
    """
    rows = read_rows(artifacts, spec.name, request.dataset_version, TRAIN)
    preparer = RowPreparer(spec.features)
    prepared = [preparer.prepare(row) for row in rows]
    sparse = any(feature.kind == "text" for feature in spec.features)

    def put(name: str, body: bytes) -> None:
        artifacts.put(run_key(spec.name, request.run_id, name), body)

    def features(fit: Sequence[int], score: Sequence[int]) -> tuple[FeatureView, Matrix, Matrix]:
        data = fit_feature_view(spec.features, preparer.settings, [prepared[i] for i in fit])
        view = FeatureView(data)
        parts = [[view.apply(prepared[i]) for i in part] for part in (fit, score)]
        left, right = (stack_rows(part, view.width, sparse=sparse) for part in parts)
        return view, left, right

    columns = list(spec.dataset.columns)
    folds = fold_indices(rows, columns, spec.split, spec.evaluation.folds)
    targets = _targets(rows, spec)
    for number, (fit, score) in enumerate(folds):
        if not fit or not score:
            raise TrainingFailedError(f"fold {number} has no rows; lower evaluation.folds")
        _, fitted, scored = features(fit, score)
        put(fold_name(number, "fit"), to_bytes(fitted))
        put(fold_name(number, "score"), to_bytes(scored))
        targets |= {f"fit_{number}": np.array(fit), f"score_{number}": np.array(score)}
    view, everything, _ = features(range(len(rows)), [])
    if view.width == 0:
        raise TrainingFailedError("no feature survives: the texts hold no usable words")
    put(ALL_ROWS, to_bytes(everything))
    put(FEATURE_VIEW, canonical_json(view.data))
    buffer = BytesIO()
    np.savez(buffer, **targets)
    put(TARGETS, buffer.getvalue())
    return FitFeatureViewsResult(
        candidates=tuple(candidate.name for candidate in spec.candidates),
        backend=spec.training.backend,
        n_folds=len(folds),
        n_features=view.width,
    )


def fold_name(number: int, part: str) -> str:
    """Return where a fold's matrix lies inside the run; `part` is "fit" or "score"."""
    return f"features/fold_{number}_{part}.npz"


def class_names(rows: Sequence[dict[str, Any]], spec: ProjectSpec) -> list[str]:
    """Return the classes in the order of their numbers; empty for regression."""
    if spec.project.task == "regression":
        return []
    return sorted({row[TARGET] for row in rows})


def _targets(rows: Sequence[dict[str, Any]], spec: ProjectSpec) -> dict[str, Any]:
    values = [row[TARGET] for row in rows]
    if spec.project.task == "regression":
        return {"y": np.array(values, dtype=np.float64)}
    names = class_names(rows, spec)
    number = {name: position for position, name in enumerate(names)}
    encoded = np.array([number[value] for value in values])
    # The names travel as JSON bytes: an object array would need pickle.
    return {"y": encoded, "classes": np.frombuffer(json.dumps(names).encode(), dtype=np.uint8)}
