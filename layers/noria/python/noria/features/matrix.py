"""Stack transformed rows into the matrix estimators take; needs numpy and scipy."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import scipy.sparse

from noria.features.blocks import SparseRow

Matrix = Any  # numpy float64 array of shape (n_rows, width), or scipy CSR of the same shape


def stack_rows(rows: Sequence[SparseRow], width: int, *, sparse: bool) -> Matrix:
    """Return a matrix of shape (n_rows, width).

    Parameters
    ----------
    rows : sequence of {column: value}
    width : int
        Columns of the feature view.
    sparse : bool
        CSR with exactly the entries of `rows`; else dense, with 0 for absent entries.
    """
    if not sparse:
        dense = np.zeros((len(rows), width))
        for number, row in enumerate(rows):
            dense[number, list(row)] = list(row.values())
        return dense
    indptr = np.cumsum([0, *(len(row) for row in rows)])
    indices = np.fromiter((i for row in rows for i in sorted(row)), dtype=np.int32)
    values = np.fromiter((row[i] for row in rows for i in sorted(row)), dtype=np.float64)
    return scipy.sparse.csr_matrix((values, indices, indptr), shape=(len(rows), width))


def take_columns(matrix: Matrix, columns: Any, *, sparse: bool) -> Matrix:
    """Return some columns, in the given order; dense unless `sparse`."""
    taken = matrix[:, columns]
    return taken.toarray() if scipy.sparse.issparse(taken) and not sparse else taken


def to_bytes(matrix: Matrix) -> bytes:
    """Return the matrix as an .npz file."""
    buffer = BytesIO()
    if scipy.sparse.issparse(matrix):
        parts = {name: getattr(matrix, name) for name in ("data", "indices", "indptr")}
        np.savez(buffer, shape=np.array(matrix.shape), **parts)
    else:
        np.savez(buffer, dense=matrix)
    return buffer.getvalue()


def from_bytes(body: bytes) -> Matrix:
    """Return the matrix of an .npz file that `to_bytes` wrote; pickled content is refused."""
    with np.load(BytesIO(body), allow_pickle=False) as parts:
        if "dense" in parts:
            return parts["dense"]
        content = (parts["data"], parts["indices"], parts["indptr"])
        return scipy.sparse.csr_matrix(content, shape=tuple(parts["shape"]))
