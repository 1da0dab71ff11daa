"""`noria.features.blocks.TextBlock` with a vocabulary, over many rows: counted and weighted terms."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from noria.columnar.columns import Columns
from noria.columnar.kernel import Floats, count_terms
from noria.columnar.words import Numbered, Numbering, Numbers, Tokens, in_order
from noria.errors import ModelCorruptError
from noria.features.blocks import Data
from noria.features.text import TextPreparer

# Whose parts are remembered: more than the words of a part's lexicon, which number them anew.
_MOST_TOKENS = 400_000


class Entries(NamedTuple):
    """Entries of a sparse matrix, by row and column."""

    rows: Numbers
    columns: Numbers
    values: Floats


class TermBlock:
    """One text feature of the view.

    Parameters
    ----------
    data : mapping
        The fitted block; its terms are not hashed.
    """

    def __init__(self, data: Data) -> None:
        self._columns: list[str] = data["columns"]
        preparer = TextPreparer(data)
        index = {term: position for position, term in enumerate(data["terms"])}
        self._grams: _Grams
        self._least = 1  # tokens of a row that has any term at all, known or not
        if data["analyzer"] == "char_wb":
            self._grams = _TokenParts(preparer, index)
        else:
            self._grams = _WordGrams(preparer, index, *data["ngrams"])
            self._least = data["ngrams"][0]
        self._idf = np.array(data["idf"])
        self._weight: float = data["weight"]
        self._is_sublinear: bool = data["sublinear_tf"]
        self.width = len(self._idf)
        if max(index.values(), default=-1) >= self.width:  # C would count beside its table
            raise ModelCorruptError("the bundle has terms without a weight")

    def entries(self, columns: Columns, stretch: range, has_words: NDArray[np.bool_]) -> Entries:
        """Return the weighted terms of a stretch of rows; mark those that have words at all."""
        tokens = self._grams.tokens()
        runs = [columns.words.run(name, stretch).numbered(tokens) for name in self._columns]
        found = in_order(runs)
        doubtful = columns.doubtful[stretch.start : stretch.stop]
        if doubtful.any():
            is_sure = ~doubtful[found.rows]
            found = Numbered(found.rows[is_sure], found.numbers[is_sure])
        has_words |= np.bincount(found.rows, minlength=len(stretch)) >= self._least
        return self._weighted(self._grams.terms(found), len(stretch))

    def _weighted(self, found: Numbered, n_rows: int) -> Entries:
        rows, terms, counts = count_terms(found.rows, found.numbers, n_rows, self.width)
        damped = 1.0 + np.log(counts) if self._is_sublinear else counts.astype(np.float64)
        values = damped * self._idf[terms]
        squares = np.bincount(rows, weights=values * values, minlength=n_rows)
        return Entries(rows, terms, self._weight * (values / np.sqrt(squares)[rows]))


class _Grams(Protocol):
    """Terms of a vocabulary, found among numbered tokens."""

    def tokens(self) -> Tokens:
        """Return how the tokens are numbered that `terms` takes next."""
        ...

    def terms(self, found: Numbered) -> Numbered:
        """Return the terms of all rows, repeats included, by row."""
        ...


class _Level(NamedTuple):
    """Sequences of so many words that begin a term."""

    keys: NDArray[np.int64]  # ascending: shorter sequence's place, times all words, plus last word
    terms: Numbers  # the term that the sequence is; -1 where it only begins one


class _WordGrams:
    """Sequences of tokens: a term is found word by word, as in a tree of prefixes."""

    def __init__(
        self, preparer: TextPreparer, index: dict[str, int], shortest: int, longest: int
    ) -> None:
        self._words = Numbering()
        terms = {
            tuple(self._words[word] for word in term.split(" ")): position
            for term, position in index.items()
        }
        self._n_words = len(self._words.words)
        self._shortest = shortest
        singles = [terms.get((word,), -1) for word in range(self._n_words)]
        self._singles = np.array([*singles, -1], dtype=np.int32)
        self._levels = self._made_levels(terms, longest)
        self._tokens = Tokens.of(preparer, self._words, self._n_words)

    def _made_levels(self, terms: dict[tuple[int, ...], int], longest: int) -> list[_Level]:
        levels = list[_Level]()
        places: dict[tuple[int, ...], int] = {(word,): word for word in range(self._n_words)}
        for size in range(2, longest + 1):
            begun = {term[:size] for term in terms if len(term) >= size}
            by_key = {places[part[:-1]] * self._n_words + part[-1]: part for part in begun}
            keys = sorted(by_key)
            places = {by_key[key]: place for place, key in enumerate(keys)}
            ended = [terms.get(by_key[key], -1) for key in keys]
            levels.append(_Level(np.array(keys, np.int64), np.array(ended, np.int32)))
        return levels

    def tokens(self) -> Tokens:
        """Return how the tokens are numbered: each word of a term, then one number for others."""
        return self._tokens

    def terms(self, found: Numbered) -> Numbered:
        """Return the terms of all rows."""
        rows, words = found
        parts = list[Numbered]()
        if self._shortest == 1:
            parts.append(_those(rows, self._singles[words]))
        starts = np.flatnonzero(words < self._n_words)
        places = words[starts].astype(np.int64)
        for size, level in enumerate(self._levels, 2):
            fits = starts + size - 1 < len(words)
            starts, places = starts[fits], places[fits]
            last = starts + size - 1
            goes_on = (rows[last] == rows[starts]) & (words[last] < self._n_words)
            starts, places, last = starts[goes_on], places[goes_on], last[goes_on]
            starts, places = _step(level, starts, places * self._n_words + words[last])
            if size >= self._shortest:
                parts.append(_those(rows[starts], level.terms[places]))
        return in_order(parts)


def _step(
    level: _Level, starts: NDArray[np.int64], keys: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the starts of sequences that the level has, and their places there."""
    if not len(level.keys):
        return starts[:0], keys[:0]
    places = np.searchsorted(level.keys, keys)
    places[places == len(level.keys)] = 0
    is_known = level.keys[places] == keys
    return starts[is_known], places[is_known]


def _those(rows: NDArray[np.uint16], terms: Numbers) -> Numbered:
    """Return the rows that have a term."""
    is_term = terms >= 0
    return Numbered(rows[is_term], terms[is_term])


class _TokenParts:
    """Parts of one token at a time: those of a distinct token are looked up once."""

    def __init__(self, preparer: TextPreparer, index: dict[str, int]) -> None:
        self._preparer, self._index = preparer, index
        self._begin()

    def _begin(self) -> None:
        self._known = Numbering()
        self._tokens = Tokens.of(self._preparer, self._known)
        self._sizes = np.zeros(0, dtype=np.int64)
        self._flat = np.zeros(0, dtype=np.int32)  # the terms of all known tokens

    def tokens(self) -> Tokens:
        """Return how the tokens are numbered: as they come, until there are too many."""
        if len(self._known.words) > _MOST_TOKENS:
            self._begin()
        return self._tokens

    def terms(self, found: Numbered) -> Numbered:
        """Return the terms of all rows."""
        self._learn(self._known.words[len(self._sizes) :])
        starts = np.cumsum(self._sizes) - self._sizes
        sizes = self._sizes[found.numbers]
        passed = np.cumsum(sizes) - sizes
        n_terms = int(sizes.sum())
        places = np.repeat(starts[found.numbers] - passed, sizes) + np.arange(n_terms)
        return Numbered(np.repeat(found.rows, sizes), self._flat[places])

    def _learn(self, tokens: Sequence[str]) -> None:
        index, grams = self._index, self._preparer.grams
        terms = [[index[gram] for gram in grams([token]) if gram in index] for token in tokens]
        flat = np.array([term for found in terms for term in found], dtype=np.int32)
        self._sizes = np.concatenate((self._sizes, np.array([*map(len, terms)], dtype=np.int64)))
        self._flat = np.concatenate((self._flat, flat))
