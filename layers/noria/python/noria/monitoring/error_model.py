"""How wrong a regression is, by the size of its predictions: what estimates its error without labels."""

from dataclasses import dataclass

import numpy as np

from noria.monitoring.profiles import Floats

_N_ERROR_GROUPS = 10


@dataclass(frozen=True)
class ErrorModel:
    """How wrong a regression was out of fold, by tenths of its predictions."""

    edges: Floats  # of the predictions, ascending
    squared: Floats  # mean squared error of each group, in the target's unit squared
    absolute: Floats  # mean absolute error
    squared_variance: Floats  # of single squared errors
    absolute_variance: Floats


def fit_error_model(truth: Floats, predicted: Floats) -> ErrorModel:
    """Return how wrong out-of-fold predictions were, by tenths of the predictions.

    Parameters
    ----------
    truth, predicted : arrays of shape (n,)
        In the target's unit.
    """
    fractions = np.linspace(0.0, 1.0, _N_ERROR_GROUPS + 1)[1:-1]
    edges = np.unique(np.quantile(predicted, fractions))
    groups = np.searchsorted(edges, predicted, side="right")
    absolute = np.abs(predicted - truth)
    parts = [absolute[groups == g] if np.any(groups == g) else absolute
             for g in range(len(edges) + 1)]  # fmt: skip
    return ErrorModel(
        edges,
        np.array([np.mean(part**2) for part in parts]),
        np.array([np.mean(part) for part in parts]),
        np.array([np.var(part**2) for part in parts]),
        np.array([np.var(part) for part in parts]),
    )
