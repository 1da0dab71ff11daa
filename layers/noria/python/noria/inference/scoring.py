"""Score one feature row with a bundle's model: linear forms and tree ensembles.

Standard library only, in plain double precision. Each scorer returns raw scores, one an output;
a link turns them into what the caller gets.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from math import exp, isnan
from typing import Any, Protocol

from noria.errors import ModelIncompatibleError

SparseRow = Mapping[int, float]
Arrays = Mapping[str, "array[Any]"]


class Scorer(Protocol):
    """A loaded model."""

    def scores(self, row: SparseRow) -> list[float]:
        """Return the raw scores of one feature row, one an output."""
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


class TreeScorer:
    """A sum of trees, from one flat node table.

    Parameters
    ----------
    model : mapping
        `n_outputs`; `outputs_per_leaf` (1 or `n_outputs`).
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
    ends in its `absent_leaf`, so only the others are walked. Values are rounded to float32
    first, as scikit-learn and XGBoost do with theirs.
    """

    def __init__(self, model: Mapping[str, Any], arrays: Arrays) -> None:
        self._n_outputs: int = model["n_outputs"]
        self._per_leaf: int = model["outputs_per_leaf"]
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
        rounded = dict(zip(row, array("f", row.values()), strict=True))
        roots = self._roots
        if not self._touched_start:
            return self._summed([self._leaf_of(root, rounded) for root in roots])
        leaves = list(self._absent_leaf)
        for tree in self._trees_touched(rounded):
            leaves[tree] = self._leaf_of(roots[tree], rounded)
        return self._summed(leaves)

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


def _sigmoid(score: float) -> float:
    if score >= 0:
        return 1.0 / (1.0 + exp(-score))
    tail = exp(score)
    return tail / (1.0 + tail)


def _softmax(scores: list[float], _: Mapping[str, Any]) -> list[float]:
    if len(scores) == 1:
        positive = _sigmoid(scores[0])
        return [1.0 - positive, positive]
    top = max(scores)
    powers = [exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def _calibrated(scores: list[float], model: Mapping[str, Any]) -> list[float]:
    """Platt's sigmoid of each score, normalised over the classes."""
    shares = [
        _sigmoid(-(slope * score + shift))
        for score, (slope, shift) in zip(scores, model["calibration"], strict=True)
    ]
    if len(shares) == 1:
        return [1.0 - shares[0], shares[0]]
    total = sum(shares)
    return [share / total if total else 1.0 / len(shares) for share in shares]


def _mean(scores: list[float], model: Mapping[str, Any]) -> list[float]:
    return [score / model["n_trees"] for score in scores]


def _identity(scores: list[float], _: Mapping[str, Any]) -> list[float]:
    return scores


LINKS: dict[str, Callable[[list[float], Mapping[str, Any]], list[float]]] = {
    "softmax": _softmax,
    "calibrated": _calibrated,
    "mean": _mean,
    "identity": _identity,
}
