"""Feature views of a few features, without a project around them."""

from collections.abc import Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from noria.bundle.format import pack, unpack
from noria.features.fitting import RowPreparer, fit_feature_view
from noria.features.matrix import stack_rows
from noria.features.view import FeatureView
from noria.spec.features import Derivation, Feature


def fitted(
    features: Sequence[Feature],
    rows: Sequence[Mapping[str, Any]],
    derived: Mapping[str, Derivation] | None = None,
    *,
    private: Collection[str] = (),
    least: int = 2,
) -> FeatureView:
    """Return the view fitted on rows, some columns marked `pii`, after a trip through a bundle's files."""
    spec: Any = SimpleNamespace(
        features=features,
        derived=derived or {},
        private_columns=frozenset(private),
        dataset=SimpleNamespace(pii_min_rows=least),
    )
    preparer = RowPreparer(spec)
    data = fit_feature_view(preparer, [preparer.prepare(row) for row in rows])
    return FeatureView(unpack(pack({"feature_view": data}, {}))[0]["feature_view"])


def dense(view: FeatureView, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return the rows' feature matrix."""
    return stack_rows([view.transform(row) for row in rows], view.width, sparse=False)
