"""Support vector machines with a kernel."""

from collections.abc import Iterator
from itertools import accumulate
from math import exp
from random import Random

from noria.errors import ModelCorruptError
from noria.inference.scoring.scorer import Arrays, SparseRow
from noria.records.bundle import Model

_ORDERS = 8  # orders of features, and their reverses, that explain a kernel
_EVALUATIONS = 640  # of a kernel an explanation: long texts are explained by fewer orders


class KernelScorer:
    """A support vector machine: kernel values with its support vectors, weighed pair by pair.

    Parameters
    ----------
    model : Model
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

    def __init__(self, model: Model, arrays: Arrays) -> None:
        self._gamma: float | None = model.gamma if model.kernel == "rbf" else None
        self._per_class = model.per_class
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

    def check(self, width: int) -> None:
        """Refuse numbers of weights and intercepts that are not those of the pairs of classes."""
        n_classes = len(self._per_class)
        is_sound = (
            n_classes >= 2
            and min(self._per_class) >= 0
            and sum(self._per_class) == self._n_vectors
            and {len(row) for row in self._weights} == {self._n_vectors}
            and len(self._intercepts) == n_classes * (n_classes - 1) // 2
            and all(0 <= feature < width for feature in self._vectors_with)
        )
        if not is_sound:
            raise ModelCorruptError("the kernel's tables are not of its classes and vectors")

    def scores(self, row: SparseRow) -> list[float]:
        """Return one margin per class; of two classes, the second one's."""
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
