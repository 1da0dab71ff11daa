"""Linear models: one coefficient per feature and output."""

from noria.errors import ModelCorruptError
from noria.inference.scoring.scorer import Arrays, SparseRow
from noria.records.bundle import Model


class LinearScorer:
    """intercept + sum of coefficient x value over the row's entries.

    Coefficients lie feature by feature, so a sparse row touches only its own.
    """

    def __init__(self, model: Model, arrays: Arrays) -> None:
        self._n_outputs: int = model.n_outputs
        self._coefficients = arrays["coefficients"]
        self._intercepts = arrays["intercepts"].tolist()

    def check(self, width: int) -> None:
        """Refuse coefficients for another number of features or outputs."""
        n_outputs = self._n_outputs
        if (len(self._coefficients), len(self._intercepts)) != (width * n_outputs, n_outputs):
            raise ModelCorruptError(f"the coefficients are not of {width} features")

    def scores(self, row: SparseRow) -> list[float]:
        """Return one linear score per output."""
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
