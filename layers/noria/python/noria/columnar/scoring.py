"""Score many feature rows with a bundle's model: the arithmetic of `noria.inference.scoring`.

Sums are numpy's, in double precision, so they equal the row scorer's to about 1e-15; a test
bounds the difference. A form without a fast way is scored row by row.
"""

from collections.abc import Callable

import numpy as np

from noria.columnar.kernel import Floats, SparseRows, TreeKernel
from noria.inference.predictor import Predictor
from noria.records.bundle import Model

_BLOCK_ENTRIES = 1 << 20  # of a sparse product held at once

Rows = Floats | SparseRows  # dense (n_rows, width), or with absent entries
Score = Callable[[Rows], Floats]


def batch_scorer(predictor: Predictor) -> Score:
    """Return the function from feature rows to raw scores of shape (n_rows, n_outputs)."""
    form = predictor.model.form
    if form == "linear":
        return _linear(predictor)
    if form == "trees" and TreeKernel.is_built():
        kernel = TreeKernel(predictor.model, predictor.arrays, predictor.view.width)
        return lambda rows: (
            kernel.sparse(rows) if isinstance(rows, SparseRows) else kernel.dense(rows)
        )
    return _row_by_row(predictor)


def _linear(predictor: Predictor) -> Score:
    n_outputs = predictor.model.n_outputs
    coefficients = np.array(predictor.arrays["coefficients"]).reshape(-1, n_outputs)
    by_output = np.ascontiguousarray(coefficients.T)
    intercepts = np.array(predictor.arrays["intercepts"])

    def score(rows: Rows) -> Floats:
        if not isinstance(rows, SparseRows):
            # Not BLAS: it rounds a row by its place among the others, and batches are cut freely.
            dense: Floats = np.einsum("ij,kj->ik", rows, by_output) + intercepts
            return dense
        out: Floats = np.zeros((len(rows), n_outputs))
        step = max(1, _BLOCK_ENTRIES * len(rows) // max(1, len(rows.values)))
        for first in range(0, len(rows), step):
            last = min(first + step, len(rows))
            start, end = rows.start[first], rows.start[last]
            if start == end:
                continue
            terms = coefficients[rows.columns[start:end]] * rows.values[start:end, None]
            filled = np.flatnonzero(rows.start[first + 1 : last + 1] > rows.start[first:last])
            out[first + filled] = np.add.reduceat(terms, rows.start[first + filled] - start)
        out += intercepts
        return out

    return score


def _row_by_row(predictor: Predictor) -> Score:
    def score(rows: Rows) -> Floats:
        return np.array([predictor.scorer.scores(row) for row in _as_mappings(rows)]).reshape(
            -1, predictor.model.n_outputs
        )

    return score


def _as_mappings(rows: Rows) -> list[dict[int, float]]:
    if isinstance(rows, SparseRows):
        bounds = zip(rows.start[:-1].tolist(), rows.start[1:].tolist(), strict=True)
        return [
            dict(zip(rows.columns[a:b].tolist(), rows.values[a:b].tolist(), strict=True))
            for a, b in bounds
        ]
    return [dict(enumerate(row)) for row in rows.tolist()]


def _softmax(scores: Floats, model: Model) -> Floats:
    calibration = model.calibration
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    calibrated = calibration.slope * scores + np.array(calibration.shift)
    powers: Floats = np.exp(calibrated - calibrated.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _log_shares(scores: Floats, model: Model) -> Floats:
    return _softmax(np.log(np.maximum(scores, model.floor)), model)


def _identity(scores: Floats, _: Model) -> Floats:
    return scores


def _exp(scores: Floats, _: Model) -> Floats:
    with np.errstate(over="ignore"):  # infinite: the row path refuses it
        return np.asarray(np.exp(scores))


BATCH_LINKS: dict[str, Callable[[Floats, Model], Floats]] = {
    "softmax": _softmax,
    "log_shares": _log_shares,
    "identity": _identity,
    "exp": _exp,
}
