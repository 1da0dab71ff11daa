"""Tree ensembles, from one flat node table."""

from array import array
from collections.abc import Sequence
from math import comb, isnan

from noria.errors import ModelCorruptError
from noria.inference.scoring.scorer import Arrays, SparseRow
from noria.records.bundle import Model


class TreeScorer:
    """A sum of trees, from one flat node table.

    Parameters
    ----------
    model : Model
        `n_outputs`; `outputs_per_leaf` (1 or `n_outputs`); `rounds` (values are rounded to
        float32 first, as scikit-learn and XGBoost do with theirs).
    arrays : mapping
        `base` (n_outputs): what the trees add to. Per node, in preorder, so that the left child
        is the next node: `feature` (-1 at a leaf), `threshold` (left when value <= threshold),
        `right` (right child, or the leaf's row in `leaves`), `otherwise` (bit 0: an absent
        feature goes right; bit 1: NaN goes right). Per tree: `roots`, `outputs` (the output it
        adds to), `absent_leaf` (the leaf of an empty row). `touched_start` and `touched`: for
        each feature, the trees that meet it on the way of an empty row; both empty where rows
        are dense, and then every tree is walked.

    Notes
    -----
    A row of text is almost empty. A tree whose empty-row path meets none of the row's features
    ends in its `absent_leaf`, so only the others are walked.
    """

    def __init__(self, model: Model, arrays: Arrays) -> None:
        self._n_outputs: int = model.n_outputs
        self._per_leaf: int = model.outputs_per_leaf
        self._rounds: bool = model.rounds
        self._feature = arrays["feature"]
        self._threshold = arrays["threshold"]
        self._right = arrays["right"]
        self._otherwise = arrays["otherwise"]
        self._leaves = arrays["leaves"]
        self._roots = arrays["roots"]
        self._outputs = arrays["outputs"]
        self._absent_leaf = arrays["absent_leaf"]
        self._touched_start = arrays["touched_start"]
        self._touched = arrays["touched"]
        self._base: list[float] = arrays["base"].tolist()

    def check(self, width: int) -> None:
        """Refuse tables that lead outside themselves, or back: a row would walk for ever."""
        n_nodes, n_trees = len(self._feature), len(self._roots)
        n_leaves = len(self._leaves) // self._per_leaf
        starts, touched = self._touched_start, self._touched
        is_sound = (
            {len(self._threshold), len(self._right), len(self._otherwise)} == {n_nodes}
            and self._per_leaf in (1, self._n_outputs)
            and len(self._base) == self._n_outputs
            and _lie_below(self._roots, n_nodes)
            and len(self._outputs) == len(self._absent_leaf) == n_trees
            and _lie_below(self._outputs, self._n_outputs)
            and _lie_below(self._absent_leaf, n_leaves)
            and (not starts or (len(starts) == width + 1 and starts[-1] == len(touched)))
            and _lie_below(touched, n_trees)
        )
        # A child lies after its parent, so that every walk ends.
        for node, (feature, right) in enumerate(zip(self._feature, self._right, strict=False)):
            low, high = (node, n_nodes) if feature >= 0 else (-1, n_leaves)
            is_sound &= low < right < high and feature < width
        if not is_sound:
            raise ModelCorruptError("the tree tables lead outside themselves")

    def scores(self, row: SparseRow) -> list[float]:
        """Return the ensemble's raw scores of one row."""
        rounded = self._rounded(row)
        roots = self._roots
        if not self._touched_start:
            return self._summed([self._leaf_of(root, rounded) for root in roots])
        leaves = list(self._absent_leaf)
        for tree in self._trees_touched(rounded):
            leaves[tree] = self._leaf_of(roots[tree], rounded)
        return self._summed(leaves)

    def contributions(self, row: SparseRow, reference: SparseRow, output: int) -> dict[int, float]:
        """Return what each feature adds to one output, against a reference row.

        Exact Shapley values of the game in which a feature has the row's value or the
        reference's: at each leaf that a mixture of both rows can reach, the features that must
        be the row's share its value, those that must be the reference's lose it, by the number
        of each [1]_. Their sum is the row's score less the reference's.

        References
        ----------
        .. [1] Lundberg et al., "From local explanations to global understanding with explainable
           AI for trees", 2020, section "Interventional Tree SHAP".
        """
        ours, theirs = self._rounded(row), self._rounded(reference)
        shares: dict[int, float] = {}
        for tree, root in enumerate(self._roots):
            if self._per_leaf > 1 or self._outputs[tree] == output:
                self._add_shares(root, (ours, theirs), output, shares)
        return shares

    def _add_shares(
        self, root: int, rows: tuple[SparseRow, SparseRow], output: int, shares: dict[int, float]
    ) -> None:
        ours, theirs = rows
        pending: list[tuple[int, frozenset[int], frozenset[int]]] = [
            (root, frozenset(), frozenset())
        ]
        while pending:
            node, from_row, from_reference = pending.pop()
            feature = self._feature[node]
            if feature < 0:
                self._share_leaf(self._right[node], from_row, from_reference, output, shares)
                continue
            here, there = self._next(node, ours), self._next(node, theirs)
            if here == there or feature in from_row:
                pending.append((here, from_row, from_reference))
            elif feature in from_reference:
                pending.append((there, from_row, from_reference))
            else:
                pending.append((here, from_row | {feature}, from_reference))
                pending.append((there, from_row, from_reference | {feature}))

    def _share_leaf(
        self,
        leaf: int,
        from_row: frozenset[int],
        from_reference: frozenset[int],
        output: int,
        shares: dict[int, float],
    ) -> None:
        n_row, n_reference = len(from_row), len(from_reference)
        value = self._leaves[leaf * self._per_leaf + (output if self._per_leaf > 1 else 0)]
        if n_row:
            gain = value / (n_row * comb(n_row + n_reference, n_row))
            for feature in from_row:
                shares[feature] = shares.get(feature, 0.0) + gain
        if n_reference:
            loss = value / (n_reference * comb(n_row + n_reference, n_reference))
            for feature in from_reference:
                shares[feature] = shares.get(feature, 0.0) - loss

    def _rounded(self, row: SparseRow) -> SparseRow:
        if not self._rounds:
            return row
        return dict(zip(row, array("f", row.values()), strict=True))

    def _trees_touched(self, row: SparseRow) -> set[int]:
        start, touched = self._touched_start, self._touched
        trees: set[int] = set()
        for feature in row:
            trees.update(touched[start[feature] : start[feature + 1]])
        return trees

    def _leaf_of(self, node: int, row: SparseRow) -> int:
        features, thresholds, right = self._feature, self._threshold, self._right
        feature = features[node]
        while feature >= 0:
            value = row.get(feature)
            if value is None:
                goes_right = self._otherwise[node] & 1
            elif value <= thresholds[node]:
                goes_right = 0
            else:
                goes_right = not isnan(value) or self._otherwise[node] & 2
            node = right[node] if goes_right else node + 1
            feature = features[node]
        leaf: int = right[node]
        return leaf

    def _next(self, node: int, row: SparseRow) -> int:
        """Return the child a row goes to; `_leaf_of` has this inline, for speed."""
        value = row.get(self._feature[node])
        if value is None:
            goes_right = self._otherwise[node] & 1
        elif value <= self._threshold[node]:
            goes_right = 0
        else:
            goes_right = not isnan(value) or self._otherwise[node] & 2
        child: int = self._right[node] if goes_right else node + 1
        return child

    def _summed(self, leaves: Sequence[int]) -> list[float]:
        values, per_leaf = self._leaves, self._per_leaf
        totals = list(self._base)
        if per_leaf > 1:
            for leaf in leaves:
                start = leaf * per_leaf
                for output, value in enumerate(values[start : start + per_leaf]):
                    totals[output] += value
        elif self._n_outputs == 1:
            totals[0] += sum([values[leaf] for leaf in leaves])
        else:
            for output, leaf in zip(self._outputs, leaves, strict=True):
                totals[output] += values[leaf]
        return totals


def _lie_below(values: Sequence[int], limit: int) -> bool:
    """Return whether all values are indices of a table of a length."""
    return not values or (min(values) >= 0 and max(values) < limit)
