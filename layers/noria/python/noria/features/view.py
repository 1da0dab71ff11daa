"""The fitted feature view: derived columns and blocks, one sparse row out. Standard library only."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from noria.features.blocks import BLOCKS, TEXT_BLOCKS, Block, SparseRow
from noria.features.derive import Deriver
from noria.records.prediction import Row


class Origin(NamedTuple):
    """Where a feature column comes from."""

    feature: str  # its name in the spec
    is_term: bool  # one of the terms of a text


class FeatureView:
    """Everything learned on the training rows, applied to one row at a time.

    Parameters
    ----------
    data : mapping
        `derived`: the spec's derived columns. `blocks`: the fitted blocks, in column order; what
        `fit_feature_view` returns and the serving bundle holds.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.extended = Deriver(data["derived"]).extended
        self.blocks: list[Block] = [BLOCKS[block["kind"]](block) for block in data["blocks"]]
        self.is_all_text = all(block["kind"] in TEXT_BLOCKS for block in data["blocks"])
        self.width = sum(block.width for block in self.blocks)

    @property
    def is_sparse(self) -> bool:
        """Whether rows are mostly empty: one column per term."""
        return any(block["kind"] == "text" for block in self.data["blocks"])

    def prepare(self, row: Row) -> list[Any]:
        """Return the stateless half of the transformation, one entry per block."""
        extended = self.extended(row)
        return [block.prepare(extended) for block in self.blocks]

    def apply(self, prepared: Sequence[Any]) -> SparseRow:
        """Return the features of a prepared row: {column: value}, absent columns are 0."""
        out: SparseRow = {}
        offset = 0
        for block, part in zip(self.blocks, prepared, strict=True):
            block.apply(part, offset, out)
            offset += block.width
        return out

    def transform(self, row: Row) -> SparseRow:
        """Return the features of a row; the same alone as inside any batch."""
        return self.apply(self.prepare(row))

    def is_empty_text(self, prepared: Sequence[Any]) -> bool:
        """Return whether the view reads text only, and a prepared row has none after cleaning."""
        return self.is_all_text and not any(prepared)

    def names(self) -> list[str]:
        """Return what each feature column means, in column order."""
        return [name for block in self.blocks for name in block.names()]

    def origins(self) -> list[Origin]:
        """Return where each feature column comes from, in column order."""
        return [
            Origin(fitted["name"], fitted["kind"] == "text")
            for fitted, block in zip(self.data["blocks"], self.blocks, strict=True)
            for _ in range(block.width)
        ]

    def narrowed(self, kept: Sequence[int]) -> tuple["FeatureView", list[int]]:
        """Return the view without the blocks that give none of the kept columns, for serving.

        Parameters
        ----------
        kept : sequence of int
            Columns of this view, ascending.

        Returns
        -------
        tuple of (FeatureView, list of int)
            The second holds the places of the kept columns in the narrower view, in their order.
        """
        wanted, blocks, offset = set(kept), [], 0
        places: dict[int, int] = {}
        for fitted, block in zip(self.data["blocks"], self.blocks, strict=True):
            columns = range(offset, offset + block.width)
            offset += block.width
            if not wanted.isdisjoint(columns):
                places |= {column: len(places) + i for i, column in enumerate(columns)}
                blocks.append(fitted)
        return FeatureView({**self.data, "blocks": blocks}), [places[column] for column in kept]
