"""Score one feature row with a bundle's model: linear forms, kernels and tree ensembles.

Standard library only, in plain double precision. Each scorer returns raw scores, one an output;
a link turns them into what the caller gets.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import comb, exp, isnan, log
from random import Random
from typing import Any, Protocol

from noria.errors import ModelIncompatibleError

_ORDERS = 8  # orders of features, and their reverses, that explain a kernel
_EVALUATIONS = 640  # of a kernel an explanation: long texts are explained by fewer orders

SparseRow = Mapping[int, float]
Arrays = Mapping[str, "array[Any]"]


class Scorer(Protocol):
    """A loaded model."""

    def scores(self, row: SparseRow) -> list[float]:
        """Return the raw scores of one feature row, one an output."""
        ...

    def contributions(self, row: SparseRow, reference: SparseRow, output: int) -> dict[int, float]:
        """Return {feature: what it adds to one output against a reference row}.

        Their sum is the row's score less the reference's.
        """
        ...


class LinearScorer:
    """intercept + sum of coefficient x value over the row's entries.

    Coefficients lie feature by feature, so a sparse row touches only its own.
    """

    def __init__(self, model: Mapping[str, Any], arrays: Arrays) -> None:
        self._n_outputs: int = model["n_outputs"]
        self._coefficients = arrays["coefficients"]
        self._intercepts = arrays["intercepts"].tolist()

    def scores(self, row: SparseRow) -> list[float]:
        """Return one linear score an output."""
        n_outputs, coefficients = self._n_outputs, self._coefficients
        if n_outputs == 1:
            start: float = self._intercepts[0]
            return [start + sum([value * coefficients[i] for i, value in row.items()])]
        totals = list(self._intercepts)
        for feature, value in row.items():
            base = feature * n_outputs
            for output, coefficient in enumerate(coefficients[base : base + n_outputs]):
                totals[output] += value * coefficient
        return totals

    def contributions(self, row: SparseRow, reference: SparseRow, output: int) -> dict[int, float]:
        """Return coefficient x (value - reference value): a linear model's Shapley values."""
        n_outputs, coefficients = self._n_outputs, self._coefficients
        return {
            i: coefficients[i * n_outputs + output] * (row.get(i, 0.0) - reference.get(i, 0.0))
            for i in {**row, **reference}
        }


class KernelScorer:
    """A support vector machine: kernel values with its support vectors, weighed pair by pair.

    Parameters
    ----------
    model : mapping
        `kernel` ("linear" or "rbf"), `gamma`, `n_outputs`, `n_features`, `per_class` (support
        vectors of each class, in order).
    arrays : mapping
        `vector_start`, `vector_feature`, `vector_value`: the support vectors as sparse rows;
        `weights`: one row for each class but one, a weight for each vector; `intercepts`: one
        for each pair of classes.

    Notes
    -----
    With more than two classes each pair votes, and a bounded sum of the pairs' margins breaks
    ties, as scikit-learn's `decision_function_shape="ovr"` has it.
    """

    def __init__(self, model: Mapping[str, Any], arrays: Arrays) -> None:
        self._gamma: float | None = model["gamma"] if model["kernel"] == "rbf" else None
        self._per_class: list[int] = model["per_class"]
        self._intercepts = arrays["intercepts"].tolist()
        starts, values = arrays["vector_start"], arrays["vector_value"]
        self._n_vectors = len(starts) - 1
        self._weights = [
            arrays["weights"][row * self._n_vectors : (row + 1) * self._n_vectors]
            for row in range(len(self._per_class) - 1)
        ]
        # By feature, so that a row meets only the vectors it shares features with.
        self._vectors_with: dict[int, list[tuple[int, float]]] = {}
        self._squares: list[float] = []
        for vector in range(self._n_vectors):
            places = range(starts[vector], starts[vector + 1])
            for place in places:
                pair = (vector, values[place])
                self._vectors_with.setdefault(arrays["vector_feature"][place], []).append(pair)
            self._squares.append(sum([values[place] ** 2 for place in places]))

    def scores(self, row: SparseRow) -> list[float]:
        """Return one margin a class; of two classes, the second one's."""
        return self._margins(*self._products(row))

    def _margins(self, products: list[float], own: float) -> list[float]:
        kernel = self._kernel(products, own)
        margins = iter(
            [start + sum(parts) for start, parts in zip(self._intercepts, self._pairs(kernel))]  # noqa: B905
        )
        if len(self._per_class) == 2:
            return [next(margins)]
        votes = [0.0] * len(self._per_class)
        sums = [0.0] * len(self._per_class)
        for first in range(len(votes)):
            for second in range(first + 1, len(votes)):
                margin = next(margins)
                votes[second if margin < 0 else first] += 1.0
                sums[first] += margin
                sums[second] -= margin
        return [
            vote + total / (3.0 * (abs(total) + 1.0))
            for vote, total in zip(votes, sums, strict=True)
        ]

    def contributions(self, row: SparseRow, reference: SparseRow, output: int) -> dict[int, float]:
        """Return Shapley values averaged over a few orders of the features: exact in sum only."""
        differing = sorted(
            i for i in {**row, **reference} if row.get(i, 0.0) != reference.get(i, 0.0)
        )
        shares = dict.fromkeys(differing, 0.0)
        rng = Random(0)
        start, own_start = self._products(reference)
        n_orders = max(1, min(_ORDERS, _EVALUATIONS // (2 * len(differing) or 1)))
        for _ in range(n_orders):
            order = rng.sample(differing, len(differing))
            for sequence in (order, order[::-1]):
                products, own = [*start], own_start
                before = self._margins(products, own)[output]
                for feature in sequence:
                    old, new = reference.get(feature, 0.0), row.get(feature, 0.0)
                    for vector, other in self._vectors_with.get(feature, ()):
                        products[vector] += (new - old) * other
                    own += new * new - old * old
                    after = self._margins(products, own)[output]
                    shares[feature] += (after - before) / (2 * n_orders)
                    before = after
        return shares

    def _products(self, row: SparseRow) -> tuple[list[float], float]:
        """Return the products of a row with every support vector, and with itself."""
        products = [0.0] * self._n_vectors
        for feature, value in row.items():
            for vector, other in self._vectors_with.get(feature, ()):
                products[vector] += value * other
        return products, sum([value * value for value in row.values()])

    def _kernel(self, products: list[float], own: float) -> list[float]:
        if (gamma := self._gamma) is None:
            return products
        return [
            exp(-gamma * (own + square - 2.0 * product))
            for square, product in zip(self._squares, products, strict=True)
        ]

    def _pairs(self, kernel: list[float]) -> Iterator[list[float]]:
        """Yield the weighted kernel values of each pair of classes, in scikit-learn's order."""
        starts = [0, *accumulate(self._per_class)]
        n_classes = len(self._per_class)
        for first in range(n_classes):
            for second in range(first + 1, n_classes):
                parts = []
                for own, row in ((first, second - 1), (second, first)):
                    weights = self._weights[row]
                    places = range(starts[own], starts[own + 1])
                    parts += [weights[place] * kernel[place] for place in places]
                yield parts


class TreeScorer:
    """A sum of trees, from one flat node table.

    Parameters
    ----------
    model : mapping
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

    def __init__(self, model: Mapping[str, Any], arrays: Arrays) -> None:
        self._n_outputs: int = model["n_outputs"]
        self._per_leaf: int = model["outputs_per_leaf"]
        self._rounds: bool = model["rounds"]
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


SCORERS: dict[str, Callable[[Mapping[str, Any], Arrays], Scorer]] = {
    "linear": LinearScorer,
    "kernel": KernelScorer,
    "trees": TreeScorer,
}


def load_scorer(model: Mapping[str, Any], arrays: Arrays) -> Scorer:
    """Return the scorer a bundle's model names; ModelIncompatibleError when there is none."""
    if model["form"] not in SCORERS or model["link"] not in LINKS:
        raise ModelIncompatibleError(
            f"the bundle needs scorer '{model['form']}' and link '{model['link']}'; "
            f"this code has {sorted(SCORERS)} and {sorted(LINKS)}"
        )
    return SCORERS[model["form"]](model, arrays)


def _softmax(scores: list[float], model: Mapping[str, Any]) -> list[float]:
    """softmax(slope x score + shift); a single score stands against a 0."""
    calibration = model["calibration"]
    if len(scores) == 1:
        scores = [0.0, scores[0]]
    slope = calibration["slope"]
    calibrated = [
        slope * score + shift for score, shift in zip(scores, calibration["shift"], strict=True)
    ]
    top = max(calibrated)
    powers = [exp(score - top) for score in calibrated]
    total = sum(powers)
    return [power / total for power in powers]


def _log_shares(scores: list[float], model: Mapping[str, Any]) -> list[float]:
    floor = model["floor"]
    return _softmax([log(max(share, floor)) for share in scores], model)


def _identity(scores: list[float], _: Mapping[str, Any]) -> list[float]:
    return scores


LINKS: dict[str, Callable[[list[float], Mapping[str, Any]], list[float]]] = {
    "softmax": _softmax,
    "log_shares": _log_shares,
    "identity": _identity,
}
