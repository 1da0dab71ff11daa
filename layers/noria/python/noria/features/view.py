"""The fitted feature view: a list of blocks, one sparse row out. Standard library only."""

from collections.abc import Mapping, Sequence
from typing import Any

from noria.features.blocks import BLOCKS, Block, SparseRow


class FeatureView:
    """Everything learned on the training rows, applied to one row at a time.

    Parameters
    ----------
    data : sequence of mappings
        The fitted blocks as JSON data, in column order; what `fit_feature_view` returns and the
        serving bundle holds.
    """

    def __init__(self, data: Sequence[Mapping[str, Any]]) -> None:
        self.data = data
        self._blocks: list[Block] = [BLOCKS[block["kind"]](block) for block in data]
        self.width = sum(block.width for block in self._blocks)

    def prepare(self, row: Mapping[str, Any]) -> list[Any]:
        """Return the stateless half of the transformation, one entry a block."""
        return [block.prepare(row) for block in self._blocks]

    def apply(self, prepared: Sequence[Any]) -> SparseRow:
        """Return the features of a prepared row: {column: value}, absent columns are 0."""
        out: SparseRow = {}
        offset = 0
        for block, part in zip(self._blocks, prepared, strict=True):
            block.apply(part, offset, out)
            offset += block.width
        return out

    def transform(self, row: Mapping[str, Any]) -> SparseRow:
        """Return the features of a row; the same alone as inside any batch."""
        return self.apply(self.prepare(row))

    def is_empty_text(self, prepared: Sequence[Any]) -> bool:
        """Return whether the view reads text and a prepared row has none left after cleaning."""
        texts = [
            part for block, part in zip(self.data, prepared, strict=True) if block["kind"] == "text"
        ]
        return bool(texts) and not any(texts)
