"""Tree ensembles over many rows: a small C loop where it was built, the row scorer elsewhere.

Both run the same walk over the same tables (`noria.inference.scoring.trees.TreeScorer`); a test holds
them equal. The library is data of the batch layer, found on the import path; its source is
`layers/batch_runtime/tree_kernel.c`.
"""

import ctypes
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noria.errors import ModelCorruptError
from noria.inference.scoring.scorer import Arrays

PACKAGE, LIBRARY = "noria_kernel", "tree_kernel.so"

Floats = NDArray[np.float64]
_INTEGERS = ("feature", "right", "roots", "outputs", "absent_leaf", "touched_start", "touched")
_DOUBLES = ("threshold", "leaves", "base")


class SparseRows(NamedTuple):
    """Rows of a view with terms: entries of row i at `start[i]:start[i + 1]`; others are absent."""

    start: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: Floats
    width: int

    def __len__(self) -> int:
        return len(self.start) - 1


class _Trees(ctypes.Structure):
    """The C side's `Trees`, field by field."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in (*_INTEGERS, *_DOUBLES, "otherwise")),
        *((name, ctypes.c_int64) for name in ("n_trees", "n_outputs", "per_leaf", "rounds")),
    ]


class TreeKernel:
    """One ensemble, checked and ready.

    Parameters
    ----------
    model, arrays
        As `TreeScorer` takes them.
    width : int
        Columns of the feature view.

    Raises
    ------
    ModelCorruptError
        An index of the tables points outside them: C would follow it.
    """

    def __init__(self, model: Any, arrays: Arrays, width: int) -> None:
        self._library = _library()
        self._n_outputs: int = model.n_outputs
        self._width = width
        self._kept: dict[str, NDArray[Any]] = {
            **{name: np.array(arrays[name], dtype=np.int32) for name in _INTEGERS},
            **{name: np.array(arrays[name], dtype=np.float64) for name in _DOUBLES},
            "otherwise": np.array(arrays["otherwise"], dtype=np.uint8),
        }
        _require_closed(self._kept, model, width)
        addresses = {
            name: values.ctypes.data if values.size else None for name, values in self._kept.items()
        }
        self._trees = _Trees(
            **addresses,
            n_trees=len(self._kept["roots"]),
            n_outputs=self._n_outputs,
            per_leaf=model.outputs_per_leaf,
            rounds=int(model.rounds),
        )

    @staticmethod
    def is_built() -> bool:
        """Return whether the library is there."""
        return _library() is not None

    def dense(self, rows: Floats) -> Floats:
        """Return raw scores, shape (n_rows, n_outputs); rows have shape (n_rows, width)."""
        own = np.array(rows, dtype=np.float64, order="C")  # the kernel rounds in place
        out = np.empty((len(own), self._n_outputs))
        self._library.noria_dense(
            ctypes.byref(self._trees), _n(len(own)), _n(self._width), _at(own), _at(out)
        )
        return out

    def sparse(self, rows: SparseRows) -> Floats:
        """Return raw scores, shape (n_rows, n_outputs)."""
        out = np.empty((len(rows), self._n_outputs))
        scratch, stamp = np.zeros(self._width), np.zeros(self._width, dtype=np.int32)
        met = np.zeros(len(self._kept["roots"]), dtype=np.int32)
        arrays = (rows.start, rows.columns, rows.values, scratch, stamp, met, out)
        self._library.noria_sparse(
            ctypes.byref(self._trees), _n(len(rows)), *(_at(part) for part in arrays)
        )
        return out


def _n(number: int) -> ctypes.c_int64:
    return ctypes.c_int64(number)


def _at(values: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(values.ctypes.data)


@lru_cache(maxsize=1)
def _library() -> Any:
    """Return the loaded library; None where it was not built for this machine."""
    try:
        # A Glue job has its code as an archive; the file stays unpacked while it is loaded.
        with as_file(files(PACKAGE) / LIBRARY) as path:
            library = ctypes.CDLL(str(path))
    except (ModuleNotFoundError, OSError):
        return None
    library.noria_dense.restype = library.noria_sparse.restype = None
    return library


def _require_closed(tables: dict[str, NDArray[Any]], model: Any, width: int) -> None:
    """Refuse tables that lead outside: every walk ends in a leaf, every leaf and output exists."""
    feature, right = tables["feature"], tables["right"]
    n_nodes, n_trees = len(feature), len(tables["roots"])
    per_leaf, n_outputs = model.outputs_per_leaf, model.n_outputs
    n_leaves = len(tables["leaves"]) // max(per_leaf, 1)
    is_leaf, place = feature < 0, np.arange(n_nodes)
    starts = tables["touched_start"]
    sound = (
        len(right) == len(tables["threshold"]) == len(tables["otherwise"]) == n_nodes
        and len(tables["outputs"]) == len(tables["absent_leaf"]) == n_trees
        and len(tables["base"]) == n_outputs
        and per_leaf in (1, n_outputs)
        and bool(np.all(feature < width))
        # Children come after their parent, so every walk ends.
        and bool(np.all(is_leaf | ((right > place) & (right < n_nodes) & (place + 1 < n_nodes))))
        and _within(right[is_leaf], n_leaves)
        and _within(tables["roots"], n_nodes)
        and _within(tables["absent_leaf"], n_leaves)
        and _within(tables["outputs"], n_outputs)
        and _within(tables["touched"], n_trees)
        and len(starts) in (0, width + 1)
        and bool(np.all(np.diff(starts) >= 0))
        and (not len(starts) or (starts[0] == 0 and starts[-1] == len(tables["touched"])))
    )
    if not sound:
        raise ModelCorruptError("the bundle's tree tables lead outside themselves")


def _within(values: NDArray[Any], limit: int) -> bool:
    return bool(np.all((values >= 0) & (values < limit)))
