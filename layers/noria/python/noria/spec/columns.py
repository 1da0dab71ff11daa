"""Which columns a project has: declared, seen in the rows, or derived; and who reads them."""

from collections.abc import Iterator, Mapping

from noria.spec.features import DERIVATION_TYPES, EVERY, FEATURE_TAKES, Feature
from noria.spec.model import ColumnSpec, ProjectSpec
from noria.spec.section import ColumnType


def column_types(spec: ProjectSpec) -> dict[str, str]:
    """Return every column a feature may read with its type: inputs first, then derived ones."""
    types: dict[str, str] = {name: column.type for name, column in spec.dataset.columns.items()}
    return types | {name: DERIVATION_TYPES[d.how][1] for name, d in spec.derived.items()}


def columns_read(spec: ProjectSpec) -> Iterator[str]:
    """Yield every column that something reads, repeats included."""
    for feature in spec.features:
        yield from feature.columns
        if by := getattr(feature, "by", None):
            yield by
    for derivation in spec.derived.values():
        yield from derivation.source
    yield from spec.evaluation.slices
    if spec.postprocess:
        yield spec.postprocess.amount
        yield from [spec.postprocess.contact] if spec.postprocess.contact else []


def with_columns(spec: ProjectSpec, inferred: Mapping[str, ColumnType]) -> ProjectSpec:
    """Return the spec with every column named: inferred ones added, `"*"` written out.

    Parameters
    ----------
    inferred : mapping of column name to type
        What `dataset.infer` found in the rows; empty where columns are declared.

    Notes
    -----
    A feature that asks for `"*"` and finds no column is left out.
    """
    columns = dict(spec.dataset.columns)
    columns |= {name: ColumnSpec(type=kind) for name, kind in inferred.items()}
    dataset = spec.dataset.model_copy(update={"columns": columns})
    spec = spec.model_copy(update={"dataset": dataset})
    types = column_types(spec)
    features = [_expanded(feature, spec.features, types) for feature in spec.features]
    kept = tuple(feature for feature in features if feature.columns)
    return spec.model_copy(update={"features": kept})


def _expanded(feature: Feature, features: tuple[Feature, ...], types: Mapping[str, str]) -> Feature:
    if EVERY not in feature.columns:
        return feature
    named = {c for other in features if other.kind == feature.kind for c in other.columns}
    found = [
        name
        for name, kind in types.items()
        if kind == FEATURE_TAKES[feature.kind] and name not in named
    ]
    others = [column for column in feature.columns if column != EVERY]
    return feature.model_copy(update={"columns": (*others, *found)})
