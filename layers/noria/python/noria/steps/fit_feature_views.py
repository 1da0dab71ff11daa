"""Fit the feature view once per fold and once on all training rows, for every candidate to share."""

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any

import numpy as np

from noria.bundle.format import pack
from noria.data.schema_inference import spec_of_dataset
from noria.data.splits import fold_indices
from noria.data.validation import TARGET
from noria.data.versions import encode_rows, read_rows
from noria.errors import ModelIncompatibleError, TrainingFailedError
from noria.evaluation.runs import finished
from noria.features.matrix import Matrix
from noria.features.matrix import to_bytes as matrix_bytes
from noria.monitoring.reference import watched
from noria.ports import ArtifactStore
from noria.records.codec import to_bytes
from noria.records.prediction import Row
from noria.records.training import FittedFeatures
from noria.spec.loader import spec_hash
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.keys import (
    ALL_ROWS,
    FEATURE_LAYER,
    FEATURE_VIEW,
    FITTED,
    NO_RESULT,
    PRIMARY_LAYER,
    SELECTIONS,
    TARGETS,
    TRAIN,
    WATCHED,
    fold_name,
    run_key,
)
from noria.training.fold_features import FoldFeatures, prepared_here
from noria.training.selection import kept_columns

_SHOWN_ROWS = 1000  # of the feature layer, which is there to be looked at
_QUICKLY = 4  # level of compression: two thirds of the time go, a tenth of the size is added


@dataclass(frozen=True)
class FitFeatureViewsRequest:
    """Which dataset version."""

    project: str
    run_id: str
    dataset_version: str


@dataclass(frozen=True)
class FitFeatureViewsResult:
    """How much was computed."""

    n_folds: int
    n_features: int


def fit_feature_views(
    request: FitFeatureViewsRequest,
    *,
    spec: ProjectSpec,
    artifacts: ArtifactStore,
    prepare_rows: Callable[[ProjectSpec, Sequence[Row]], list[Any]] = prepared_here,
) -> FitFeatureViewsResult:
    """Compute the features of every fold and of the whole training set.

    Parameters
    ----------
    prepare_rows : function
        The part that takes the time and knows each row alone; a Spark job spreads it.

    Notes
    -----
    Reads the training rows; writes `runs/<project>/<run_id>/features/` and, to look at,
    `layers/`: the rows with their derived columns, and the first rows of the feature matrix with
    the columns' names. The test rows are not touched. Text is cleaned and stemmed once for all
    folds. A run that is started again keeps the features it has of these rows and this spec.
    """
    subject = (request.dataset_version, spec_hash(spec))
    key = run_key(spec.name, request.run_id, FITTED)
    done = finished(FittedFeatures, artifacts, key)
    if done is not None and (done.dataset_version, done.spec_sha256) == subject:
        return FitFeatureViewsResult(n_folds=done.n_folds, n_features=done.n_features)
    if done is not None:  # of other rows or another spec: about to be written over
        artifacts.put(key, NO_RESULT)
    spec = spec_of_dataset(artifacts, spec, request.dataset_version)
    rows = read_rows(artifacts, spec.name, request.dataset_version, TRAIN)
    try:
        fitting = FoldFeatures(spec, prepare_rows(spec, rows))
    except ModelIncompatibleError as error:
        raise TrainingFailedError(error.message, **error.details) from error
    folds = fold_indices(rows, list(spec.dataset.columns), spec.split, spec.evaluation.folds)
    targets = _targets(rows, spec)
    files: dict[str, bytes] = {}
    selections: dict[str, list[list[int]]] = {name: [] for name in spec.selections}
    for number, (fit, score) in enumerate([*folds, (list(range(len(rows))), [])]):
        is_whole = number == len(folds)
        if not fit or not (score or is_whole):
            raise TrainingFailedError(f"fold {number} has no rows; lower evaluation.folds")
        view, fitted, scored = fitting.of(fit, score)
        if view.width == 0:
            raise TrainingFailedError("no feature survives: the texts hold no usable words")
        for name, steps in spec.selections.items():
            data = fitted, targets["y"][fit]
            kept = kept_columns(steps, data, view.origins(), spec.project.task)
            selections[name].append(kept)
        if is_whole:
            files[ALL_ROWS] = matrix_bytes(fitted)
        else:
            files[fold_name(number, "fit")] = matrix_bytes(fitted)
            files[fold_name(number, "score")] = matrix_bytes(scored)
            targets |= {f"fit_{number}": np.array(fit), f"score_{number}": np.array(score)}
    files |= {f"{FEATURE_VIEW}/{n}": b for n, b in pack({"feature_view": view.data}, {}).items()}
    files[SELECTIONS] = canonical_json(selections)
    files[WATCHED] = canonical_json(watched(spec, rows))
    files[PRIMARY_LAYER] = encode_rows(fitting.extended(row) for row in rows)
    files[FEATURE_LAYER] = _table(view.names(), fitted)
    buffer = BytesIO()
    np.savez(buffer, **targets)
    files[TARGETS] = buffer.getvalue()
    for name, content in files.items():
        artifacts.put(run_key(spec.name, request.run_id, name), content)
    artifacts.put(key, to_bytes(FittedFeatures(*subject, len(folds), view.width)))
    return FitFeatureViewsResult(n_folds=len(folds), n_features=view.width)


def _table(names: Sequence[str], matrix: Matrix) -> bytes:
    """Return the first rows as a gzipped CSV table; of a sparse matrix, the columns in use."""
    part = matrix[:_SHOWN_ROWS]
    used = list(range(len(names)))
    if not isinstance(part, np.ndarray):
        used = sorted(set(part.indices.tolist()))
        part = part[:, used].toarray()
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow([names[i] for i in used])
    zeros = ["0"] * len(used)  # what most cells of a sparse matrix are
    for row in part:
        cells = zeros.copy()
        for place in np.flatnonzero(row).tolist():
            cells[place] = f"{row[place]:.6g}"
        text.write(",".join(cells) + "\n")
    return gzip.compress(text.getvalue().encode(), _QUICKLY, mtime=0)


def class_names(rows: Sequence[Row], spec: ProjectSpec) -> list[str]:
    """Return the classes in the order of their numbers, the positive one last; or nothing."""
    if spec.project.task == "regression":
        return []
    return sorted({row[TARGET] for row in rows}, key=lambda c: (c == spec.target.positive, c))


def _targets(rows: Sequence[Row], spec: ProjectSpec) -> dict[str, Any]:
    values = [row[TARGET] for row in rows]
    if spec.project.task == "regression":
        return {"y": np.array(values, dtype=np.float64)}
    names = class_names(rows, spec)
    number = {name: position for position, name in enumerate(names)}
    encoded = np.array([number[value] for value in values])
    # The names travel as JSON bytes: an object array would need pickle.
    return {"y": encoded, "classes": np.frombuffer(json.dumps(names).encode(), dtype=np.uint8)}
