"""Find the columns of files without a declared schema: numbers, categories, and what to leave out."""

from collections.abc import Iterable, Mapping
from typing import Any

from noria.data.parsing import RawRecord
from noria.data.values import normalized
from noria.data.versions import read_dataset_manifest
from noria.ports import ArtifactStore
from noria.spec.columns import with_columns
from noria.spec.model import DatasetSection, ProjectSpec
from noria.spec.section import ColumnType

_NUMBER_SHARE = 0.99  # of the known values must read as numbers; the others are rejected later


class ColumnInference:
    """Watches records go by and says what their columns are.

    Parameters
    ----------
    spec : ProjectSpec
        Declared columns, the target, ids, times and `dataset.drop` are not looked at.
    """

    def __init__(self, spec: ProjectSpec) -> None:
        self._dataset: DatasetSection = spec.dataset
        self._missing = frozenset(spec.dataset.missing)
        aliases = {a for column in spec.dataset.columns.values() for a in column.aliases}
        self._known = {
            *(*spec.dataset.columns, *spec.dataset.drop, *aliases),
            *(spec.target.column, *spec.target.aliases, spec.dataset.id, spec.dataset.time),
        }
        self._seen: dict[str, _Column] = {}

    def watch(self, records: Iterable[RawRecord]) -> None:
        """Take notice of the records of a file."""
        for record in records:
            if not record.fault:
                for name, cell in record.cells.items():
                    if name not in self._known and not name.startswith("_"):
                        self._column(name).add(normalized(cell, "category", self._missing))

    def types(self) -> dict[str, ColumnType]:
        """Return the inferred input columns with their types, in order of appearance."""
        return {
            name: column.type
            for name, column in self._seen.items()
            if column.reason_to_leave(self._dataset.max_levels) is None
        }

    def left_out(self) -> Mapping[str, str]:
        """Return the columns that are no inputs, with the reason."""
        reasons = {
            name: column.reason_to_leave(self._dataset.max_levels)
            for name, column in self._seen.items()
        }
        dropped = dict.fromkeys(self._dataset.drop, "named by dataset.drop")
        return dropped | {name: reason for name, reason in reasons.items() if reason}

    def _column(self, name: str) -> "_Column":
        if name not in self._seen:
            self._seen[name] = _Column(self._dataset.max_levels)
        return self._seen[name]


def spec_of_dataset(artifacts: ArtifactStore, spec: ProjectSpec, version: str) -> ProjectSpec:
    """Return the spec with the columns that were inferred when the dataset version was made.

    Reads the dataset's manifest where the spec infers columns.
    """
    if not spec.dataset.infer:
        return spec
    schema = read_dataset_manifest(artifacts, spec.name, version).schema
    return with_columns(spec, dict(schema.inferred)) if schema is not None else spec


class _Column:
    """What is known about one column, in memory that does not grow with the rows."""

    def __init__(self, max_levels: int) -> None:
        self._max_levels = max_levels
        self._n_known, self._n_numbers = 0, 0
        self._levels: set[str] = set()

    def add(self, value: Any) -> None:
        if value is None:
            return
        self._n_known += 1
        self._n_numbers += _is_number(value)
        if len(self._levels) <= self._max_levels:
            self._levels.add(str(value)[:200])

    @property
    def type(self) -> ColumnType:
        is_number = self._n_known and self._n_numbers >= _NUMBER_SHARE * self._n_known
        return "number" if is_number else "category"

    def reason_to_leave(self, max_levels: int) -> str | None:
        if not self._n_known:
            return "it is empty"
        if self.type == "category" and len(self._levels) > max_levels:
            return f"a category with more than {max_levels} levels (dataset.max_levels)"
        return None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
