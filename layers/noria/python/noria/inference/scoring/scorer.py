"""What every scorer does."""

from array import array
from collections.abc import Mapping
from typing import Any, Protocol

SparseRow = Mapping[int, float]
Arrays = Mapping[str, "array[Any]"]


class Scorer(Protocol):
    """A loaded model."""

    def check(self, width: int) -> None:
        """Look through the model's tables once, for rows of `width` features.

        Raises
        ------
        ModelCorruptError
            One leads outside itself, or in a circle.
        """
        ...

    def scores(self, row: SparseRow) -> list[float]:
        """Return the raw scores of one feature row, one per output."""
        ...

    def contributions(self, row: SparseRow, reference: SparseRow, output: int) -> dict[int, float]:
        """Return {feature: what it adds to one output against a reference row}.

        Their sum is the row's score less the reference's.
        """
        ...
