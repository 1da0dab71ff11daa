"""What is done most often, in C where it was built: sums over trees, counts of terms.

Elsewhere the row scorer and numpy do the same; tests hold both equal. The library is data of the
batch layer, found on the import path; its source is `layers/batch_runtime/kernel.c`.
"""

import ctypes
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noria.errors import ModelCorruptError
from noria.inference.scoring.scorer import Arrays

PACKAGE, LIBRARY = "noria_kernel", "kernel.so"

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


def count_terms(
    rows: NDArray[np.uint16], terms: NDArray[np.int32], n_rows: int, width: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return (rows, terms, counts): how often each row has each of its terms.

    Parameters
    ----------
    rows : array, ascending, each below `n_rows`
    terms : array of the same length, each in [0, width)
    """
    library = _library()
    if library is None:
        entries, counts = np.unique(rows.astype(np.int64) * width + terms, return_counts=True)
        row_of, term_of = np.divmod(entries, width)
        return row_of.astype(np.int32), term_of.astype(np.int32), counts.astype(np.int32)
    start = np.searchsorted(rows, np.arange(n_rows + 1)).astype(np.int64)
    scratch = np.zeros(width, dtype=np.int32), np.zeros((width + 63) // 64, dtype=np.uint64)
    given = np.ascontiguousarray(terms, dtype=np.int32)
    out = [np.empty(len(given), dtype=np.int32) for _ in range(3)]
    arrays: list[NDArray[Any]] = [start, given, *scratch, *out]
    n = library.noria_count(_n(n_rows), _n(width), *(_at(part) for part in arrays))
    return out[0][:n], out[1][:n], out[2][:n]


class WordCounts(NamedTuple):
    """How many words texts have, and how many of them are watched."""

    n_words: NDArray[np.int64]  # of each row
    n_known: NDArray[np.int64]  # of each row
    counts: NDArray[np.int64]  # wanted rows that have each watched word


def count_words(
    rows: NDArray[np.uint16],
    numbers: NDArray[np.int32],
    wanted: NDArray[np.bool_],
    n_places: int,
) -> WordCounts:
    """Count the words of some rows.

    Parameters
    ----------
    rows : array, ascending: of each word
    numbers : array of the same length
        -1 is no word, what is below `n_places` is watched.
    wanted : array of shape (n_rows,)
    """
    n_rows, library = len(wanted), _library()
    if library is None:
        is_word, is_known = numbers >= 0, (numbers >= 0) & (numbers < n_places)
        n_words = np.bincount(rows[is_word], minlength=n_rows)
        n_known = np.bincount(rows[is_known], minlength=n_rows)
        of_rows, places, _ = count_terms(rows[is_known], numbers[is_known], n_rows, n_places)
        return WordCounts(
            n_words, n_known, np.bincount(places[wanted[of_rows]], minlength=n_places)
        )
    made = WordCounts(*(np.zeros(n, dtype=np.int64) for n in (n_rows, n_rows, n_places)))
    flags = wanted.astype(np.uint8)
    arrays: list[NDArray[Any]] = [flags, *made, np.zeros(n_places, dtype=np.int32)]
    library.noria_signals(
        _n(len(rows)), _at(rows), _at(numbers), _n(n_places), *(_at(part) for part in arrays)
    )
    return made


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
    for function in (library.noria_dense, library.noria_sparse, library.noria_signals):
        function.restype = None
    library.noria_count.restype = ctypes.c_int64
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
