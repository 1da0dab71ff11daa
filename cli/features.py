"""Work in stages: rows to features, written layer by layer, and a training that starts from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from cli.target import Target
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE, unpack
from noria.data.validation import TARGET
from noria.data.versions import decode_rows, read_dataset_manifest, read_rows
from noria.features.matrix import Matrix
from noria.features.matrix import from_bytes as matrix_from_bytes
from noria.features.view import FeatureView
from noria.records.codec import from_bytes
from noria.records.prediction import Row
from noria.records.training import FittedFeatures
from noria.storage.keys import (
    ALL_ROWS,
    FEATURE_VIEW,
    FITTED,
    PRIMARY_LAYER,
    QUARANTINED,
    TRAIN,
    quarantine_key,
    run_key,
)


class Layer(NamedTuple):
    """One layer, written."""

    name: str
    n_rows: int
    n_columns: int
    path: str


def sources_of_features(target: Target, project: str, run_id: str, spec_sha256: str) -> list[str]:
    """Return the files that a run's features were computed of.

    Raises
    ------
    ValueError
        There are no such features, or they are of another spec, or their files are gone.
    """
    try:
        body = target.artifacts.get(run_key(project, run_id, FITTED))
    except KeyError as error:
        raise ValueError(f"run '{run_id}' of {project} has no features: noria features") from error
    fitted = from_bytes(FittedFeatures, body)
    if fitted.spec_sha256 != spec_sha256:
        raise ValueError(
            f"the spec of {project} has changed since run '{run_id}': compute its features again"
        )
    manifest = read_dataset_manifest(target.artifacts, project, fitted.dataset_version)
    if gone := [key for key in manifest.offered if not target.artifacts.exists(key)]:
        raise ValueError(f"the files of run '{run_id}' are gone: {', '.join(gone[:3])}")
    return [*manifest.offered]


class Layers:
    """The layers of one run."""

    def __init__(
        self, target: Target, project: str, run_id: str, version: str, folder: Path
    ) -> None:
        self._store, self._project, self._run_id = target.artifacts, project, run_id
        self._version, self._folder = version, folder

    def write(self) -> list[Layer]:
        """Write all layers; return them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        refused = self._store.get(quarantine_key(self._project, self._run_id, QUARANTINED))
        accepted = read_rows(self._store, self._project, self._version, TRAIN)
        derived = decode_rows(self._get(PRIMARY_LAYER))
        names, matrix = self._features()
        targets = [row[TARGET] for row in accepted]
        return [
            self._written("01_accepted", _of_rows(accepted)),
            self._written("01_refused", _of_refused(decode_rows(refused))),
            self._written("02_derived", _of_rows(derived)),
            self._written("03_features", _of_matrix(names, matrix, targets)),
        ]

    def _get(self, name: str) -> bytes:
        return self._store.get(run_key(self._project, self._run_id, name))

    def _features(self) -> tuple[list[str], Matrix]:
        files = {name: self._get(f"{FEATURE_VIEW}/{name}") for name in (BUNDLE_FILE, ARRAYS_FILE)}
        view = FeatureView(unpack(files)[0]["feature_view"])
        return view.names(), matrix_from_bytes(self._get(ALL_ROWS))

    def _written(self, name: str, found: pa.Table) -> Layer:
        path = self._folder / f"{name}.parquet"
        pyarrow.parquet.write_table(found, path, compression="zstd")
        return Layer(name, found.num_rows, found.num_columns, str(path))


def _of_rows(rows: Sequence[Row]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({_shown(name): pa.array([row.get(name) for row in rows]) for name in names})


def _shown(column: str) -> str:
    """Return a column's name: the target's own is reserved inside Noria."""
    return "target" if column == TARGET else column


def _of_refused(records: Sequence[Row]) -> pa.Table:
    schema = pa.schema({"file": pa.string(), "line": pa.int64(), "reasons": pa.list_(pa.string())})
    rows = [{name: record.get(name) for name in schema.names} for record in records]
    return pa.Table.from_pylist(rows, schema=schema)


def _of_matrix(names: list[str], matrix: Matrix, targets: list[Any]) -> pa.Table:
    """Return a column a feature; of a sparse matrix, whose columns are terms, an entry a row."""
    if isinstance(matrix, np.ndarray):
        columns = [pa.array(matrix[:, place]) for place in range(len(names))]
        return pa.table([*columns, pa.array(targets)], names=[*names, "target"])
    entries = matrix.tocoo()
    return pa.table(
        {
            "row": pa.array(entries.row.astype(np.int64)),
            "feature": pa.DictionaryArray.from_arrays(
                pa.array(entries.col.astype(np.int32)), pa.array(names)
            ),
            "value": pa.array(entries.data),
            "target": pa.array(targets).take(pa.array(entries.row.astype(np.int64))),
        }
    )
