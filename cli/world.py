"""The world of a simulation: rows that change on a day, made by the sample generators."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

from cli.samples.files import sample_files
from cli.training import Source
from noria.data.validation import TARGET
from noria.data.versions import read_rows
from noria.spec.model import ProjectSpec
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.storage.keys import TEST, TRAIN

_EXPORTED_ROWS = 2000  # of a day: the API sees a part of what the team labels


@dataclass(frozen=True)
class SimulationSettings:
    """The world, and how much is asked of the model."""

    days: int
    drift_day: int  # the first changed day
    drift: float  # in [0, 1]
    rows_per_hour: int
    label_delay_hours: int
    seed: int


class _Store:
    """An object store in memory, to read sample files as training would."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def get(self, key: str) -> bytes:
        return self._objects[key]

    def open(self, key: str) -> BinaryIO:
        return BytesIO(self._objects[key])

    def put(self, key: str, body: bytes, *, if_absent: bool = False) -> bool:
        self._objects[key] = body
        return True

    def exists(self, key: str) -> bool:
        return key in self._objects


class World:
    """The rows of each day: as the sample rows before the change, drifted after it."""

    def __init__(self, project: str, spec: ProjectSpec, settings: SimulationSettings) -> None:
        self._project, self._settings = project, settings
        dataset = spec.dataset.model_copy(update={"min_rows": 20, "max_rejected_fraction": 1.0})
        target = spec.target.model_copy(update={"min_rows_per_class": 5})
        self._spec = spec.model_copy(update={"dataset": dataset, "target": target})

    def files(self, day: int) -> list[Source]:
        """Return a day as the files that a team would export; -1 is all before the first."""
        settings = self._settings
        n_rows = max(2 * 24 * settings.rows_per_hour, _EXPORTED_ROWS)
        drift = settings.drift if day >= settings.drift_day else 0.0
        seed = settings.seed * 100_003 + day
        at = day if day >= 0 else None
        return [*sample_files(self._project, day=at, n_rows=n_rows, seed=seed, drift=drift)]

    def rows(self, day: int) -> list[tuple[dict[str, Any], Any]]:
        """Return (inputs, truth) of a day's requests."""
        store, keys = _Store(), []
        for name, body in self.files(day):
            assert isinstance(body, bytes)
            keys.append(f"inbox/{name}")
            store.put(keys[-1], body)
        made = prepare_dataset(
            PrepareDatasetRequest(self._project, "day", tuple(keys)),
            spec=self._spec,
            artifacts=store,
        )
        if made.dataset_version is None:
            raise RuntimeError(f"sample rows of {self._project}: {made.reasons}")
        parts = (TRAIN, TEST)
        rows = [
            row
            for part in parts
            for row in read_rows(store, self._project, made.dataset_version, part)
        ]
        random.Random(day).shuffle(rows)
        wanted = rows[: 24 * self._settings.rows_per_hour]
        return [(_inputs(row), row[TARGET]) for row in wanted]


def _inputs(row: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in row.items() if not k.startswith("_") and v is not None}
