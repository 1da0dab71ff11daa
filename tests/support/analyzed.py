"""A project with one trained candidate, as an analysis of rows takes it."""

from typing import Any

import numpy as np
import pyarrow as pa

from cli.samples.files import sample_files
from noria.analysis.rows import ANALYZED_WITH
from noria.data.schema_inference import spec_of_dataset
from noria.data.versions import read_rows
from noria.spec.model import ProjectSpec
from noria.steps.fit_feature_views import FitFeatureViewsRequest, fit_feature_views
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.steps.train_candidate import TrainCandidateRequest, train_candidate
from noria.storage.keys import TRAIN, candidate_key
from tests.support.fakes import MemoryArtifacts, SteppingClock


class AnalyzedModel:
    """What an analyzer is made of, and the training rows as text cells."""

    def __init__(self, spec: ProjectSpec, candidate: str, n_rows: int) -> None:
        self.spec = spec.model_copy(
            update={"candidates": tuple(c for c in spec.candidates if c.name == candidate)}
        )
        store, keys = MemoryArtifacts(), list[str]()
        for file, body in sample_files(spec.name, n_rows=n_rows):
            keys.append(f"inbox/{file}")
            store.put(keys[-1], body)
        here: dict[str, Any] = {"spec": self.spec, "artifacts": store}
        request = PrepareDatasetRequest(spec.name, "r", tuple(keys))
        version = prepare_dataset(request, **here).dataset_version
        assert version is not None
        fit_feature_views(FitFeatureViewsRequest(spec.name, "r", version), **here)
        train_candidate(
            TrainCandidateRequest(spec.name, "r", version, candidate),
            clock=SteppingClock(), code={}, **here,
        )  # fmt: skip
        self.files = {
            name: store.get(candidate_key(spec.name, "r", candidate, name))
            for name in ANALYZED_WITH
        }
        self.rows = read_rows(store, spec.name, version, TRAIN)
        self.spec = spec_of_dataset(store, self.spec, version)  # columns found in the files too
        ids = self.spec.batch.model_copy(update={"id_columns": ("id",)})
        self.spec = self.spec.model_copy(update={"batch": ids})
        self.names = list(self.spec.dataset.columns)

    def table(self, n_rows: int) -> pa.Table:
        """Return so many rows as a table of text, some that cannot be answered."""
        rng = np.random.default_rng(8)
        rows = [self.rows[i] for i in rng.integers(0, len(self.rows), n_rows)]
        kinds = self.spec.dataset.columns
        bad = {name: "abc" if kinds[name].type == "number" else None for name in self.names}
        rows[::97] = [bad for _ in rows[::97]]
        cells = {
            name: pa.array([None if r[name] is None else str(r[name]) for r in rows], pa.string())
            for name in self.names
        }
        return pa.table({**cells, "id": [str(i) for i in range(n_rows)]})
