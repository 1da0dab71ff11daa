"""What an exporter takes and gives: the columns an estimator saw, and a model as data."""

from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

from noria.records.bundle import Model

FLOAT64, FLOAT32 = "float64", "float32"


class ExportedModel(NamedTuple):
    """A model as data."""

    model: Model  # not calibrated yet
    arrays: dict[str, "array[Any]"]
    precision: str


class Features(NamedTuple):
    """The feature view an estimator was fitted on, or the part of it that it saw."""

    width: int  # columns of the whole view
    kept: Sequence[int]  # the columns the estimator saw, in its order
    sparse: bool  # rows are mostly empty, and the estimator was given CSR
