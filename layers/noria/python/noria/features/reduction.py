"""Truncated SVD of term weights, for texts that tree models and small models can read."""

from array import array
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.utils.extmath import randomized_svd

from noria.features.matrix import stack_rows

_SEED = 0  # of the random range finder; any constant keeps training repeatable


def leading_directions(
    rows: Sequence[Mapping[int, float]], n_terms: int, n_components: int
) -> "array[float]":
    """Return the leading right singular vectors, term by term.

    Parameters
    ----------
    rows : sequence of {term: weight}
    n_terms : int
    n_components : int
        At most what the rows allow; directions beyond that are zeros.

    Notes
    -----
    Halko, Martinsson, Tropp, "Finding structure with randomness", 2011, as scikit-learn has it;
    the sign of a direction is the one that makes its largest entry positive.
    """
    directions = np.zeros((n_terms, n_components))
    n_found = min(n_components, n_terms, len(rows))
    if n_found:
        matrix = stack_rows([dict(row) for row in rows], n_terms, sparse=True)
        _, _, right = randomized_svd(matrix, n_found, n_iter=5, random_state=_SEED, flip_sign=False)
        largest = np.abs(right).argmax(axis=1)
        right *= np.where(right[np.arange(n_found), largest] < 0.0, -1.0, 1.0)[:, None]
        directions[:, :n_found] = right.T
    return array("d", directions.tobytes())
