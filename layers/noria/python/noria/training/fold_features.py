"""Feature matrices of parts of the training rows, by views fitted on other parts."""

from collections.abc import Sequence
from typing import Any

from noria.features.fitting import RowPreparer, fit_feature_view
from noria.features.matrix import Matrix, stack_rows
from noria.features.view import FeatureView
from noria.records.prediction import Row
from noria.spec.model import ProjectSpec


def prepared_here(spec: ProjectSpec, rows: Sequence[Row]) -> list[Any]:
    """Return the rows as `RowPreparer` prepares them."""
    preparer = RowPreparer(spec)
    return [preparer.prepare(row) for row in rows]


class FoldFeatures:
    """The training rows, prepared once."""

    def __init__(self, spec: ProjectSpec, prepared: Sequence[Any]) -> None:
        self._preparer = RowPreparer(spec)
        self.extended = self._preparer.extended
        self._prepared = prepared

    def of(self, fit: Sequence[int], score: Sequence[int]) -> tuple[FeatureView, Matrix, Matrix]:
        """Return the view fitted on some rows, their matrix, and that of the rows to score."""
        prepared = self._prepared
        view = FeatureView(fit_feature_view(self._preparer, [prepared[i] for i in fit]))
        parts = [[view.apply(prepared[i]) for i in part] for part in (fit, score)]
        left, right = (stack_rows(part, view.width, sparse=view.is_sparse) for part in parts)
        return view, left, right
