"""The words of text columns as numbers: each distinct word of a part is looked at once.

A model's features and the signals that monitoring keeps are made from the same words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noria.features.text import END, TextPreparer, plain_words

Rows = NDArray[np.uint16]  # of a stretch: few enough for numpy's radix sort
Numbers = NDArray[np.int32]

_STRETCH_ROWS, _STRETCH_CHARACTERS = 2_000, 4_000_000
_MOST_WORDS = 300_000  # distinct ones in a lexicon; after that another begins


class Numbering(dict[str | None, int]):
    """Numbers words from 0 on, in the order in which they are first asked for; no word is -1."""

    def __init__(self) -> None:
        super().__init__({None: -1})
        self.words: list[str] = []

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self.words)
        self.words.append(word)
        return number


class Numbered(NamedTuple):
    """Tokens as numbers, by row in order: row `rows[i]` of the stretch has `numbers[i]`."""

    rows: Rows
    numbers: Numbers


class Tokens:
    """How words become numbered tokens.

    Parameters
    ----------
    of_word : function or None
        Returns the token of one of `noria.features.text.plain_words`, None where it gives none;
        None where a text's tokens are not those of its words.
    of_texts : function
        Returns the tokens of each of some texts, for those that are not plain.
    numbers : mapping of token to number, from 0 on
    unknown : int or None
        The number of all other tokens; None where the mapping has a number for each.
    """

    def __init__(
        self,
        of_word: Callable[[str], str | None] | None,
        of_texts: Callable[[Sequence[str]], Iterable[list[str]]],
        numbers: Mapping[Any, int],
        unknown: int | None = None,
    ) -> None:
        self.of_word, self.of_texts, self._unknown = of_word, of_texts, unknown
        self._numbers = numbers if unknown is None else {**numbers, None: -1}

    @classmethod
    def of(
        cls,
        preparer: TextPreparer,
        numbers: Mapping[Any, int],
        unknown: int | None = None,
    ) -> "Tokens":
        """Return the tokens of a text feature."""
        of_word = preparer.token if preparer.is_by_word else None
        return cls(of_word, preparer.token_lists, numbers, unknown)

    def numbered(self, tokens: Iterable[str | None]) -> Numbers:
        """Return the numbers of tokens; -1 for none."""
        if self._unknown is None:
            found = map(self._numbers.__getitem__, tokens)
        else:
            found = map(self._numbers.get, tokens, repeat(self._unknown))
        return np.fromiter(found, dtype=np.int32)


class _Lexicon:
    """Distinct words, and their tokens' numbers for everyone who asks."""

    def __init__(self) -> None:
        self._numbering = Numbering()
        self._end = self._numbering[END]
        self._tables: dict[Tokens, Numbers] = {}
        self._tokens: dict[Callable[[str], str | None], list[str | None]] = {}

    def __len__(self) -> int:
        return len(self._numbering.words)

    def read(self, words: Sequence[str]) -> tuple[Rows, Numbers]:
        """Return the text of each word, and the word's number."""
        found = np.fromiter(
            map(self._numbering.__getitem__, words), dtype=np.int32, count=len(words)
        )
        is_end = found == self._end
        rows = np.cumsum(is_end).astype(np.uint16)
        return rows[~is_end], found[~is_end]

    def table(self, tokens: Tokens, of_word: Callable[[str], str | None]) -> Numbers:
        """Return the number of each word's token; -1 for a word that gives none."""
        known = self._tables.get(tokens, np.zeros(0, dtype=np.int32))
        if len(known) < len(self):
            spelled = self._tokens.setdefault(of_word, [])
            spelled += map(of_word, self._numbering.words[len(spelled) :])
            new = tokens.numbered(spelled[len(known) :])
            known = self._tables[tokens] = np.concatenate((known, new))
        return known


class TextRun:
    """The texts of one column in a stretch of rows."""

    def __init__(self, texts: Sequence[str | None], lexicon: _Lexicon) -> None:
        self._texts, self._lexicon = [text or "" for text in texts], lexicon
        words, self._others = plain_words(self._texts)
        self._rows, self._words = lexicon.read(words)

    def numbered(self, tokens: Tokens) -> Numbered:
        """Return the tokens of all texts."""
        found = self.words(tokens)
        is_token = found.numbers >= 0
        return Numbered(found.rows[is_token], found.numbers[is_token])

    def words(self, tokens: Tokens) -> Numbered:
        """Return the tokens of all texts, -1 where a word gives none."""
        if tokens.of_word is None:
            return self._alone(tokens, range(len(self._texts)))
        table = self._lexicon.table(tokens, tokens.of_word)
        plain = Numbered(self._rows, table[self._words])
        return in_order([plain, self._alone(tokens, self._others)]) if self._others else plain

    def _alone(self, tokens: Tokens, places: Sequence[int]) -> Numbered:
        lists = [*tokens.of_texts([self._texts[place] for place in places])]
        rows = np.repeat(np.array(places, dtype=np.uint16), [len(found) for found in lists])
        return Numbered(rows, tokens.numbered(chain.from_iterable(lists)))


class Words:
    """The words of a part's text columns, a stretch of rows at a time.

    Parameters
    ----------
    texts : mapping of column to texts, of all rows; None where there is none
    n_rows : int

    Attributes
    ----------
    sizes : mapping of column to array of shape (n_rows,)
        Characters of each text; 0 where there is none.
    stretches : list of range
        The rows in order, so many at a time that their words fit into memory.
    """

    def __init__(self, texts: Mapping[str, Sequence[str | None]], n_rows: int) -> None:
        self._texts = texts
        self.sizes = {name: _sizes(column) for name, column in texts.items()}  # characters
        self.stretches = [*_stretches(sum(self.sizes.values(), np.zeros(n_rows, np.int64)))]
        self._lexicon = _Lexicon()
        self._kept: dict[tuple[str, int], TextRun] = {}

    def run(self, column: str, stretch: range) -> TextRun:
        """Return the texts of a column in one of the stretches; most are kept for who comes next."""
        kept = self._kept.get((column, stretch.start))
        if kept is not None:
            return kept
        if len(self._lexicon) > _MOST_WORDS:
            self._lexicon = _Lexicon()
        made = TextRun(self._texts[column][stretch.start : stretch.stop], self._lexicon)
        if len(self._lexicon) <= _MOST_WORDS:
            self._kept[column, stretch.start] = made
        return made


def _sizes(texts: Sequence[str | None]) -> NDArray[np.int64]:
    return np.array([len(text) if text else 0 for text in texts], dtype=np.int64)


def _stretches(sizes: NDArray[np.int64]) -> Iterator[range]:
    """Yield rows of given sizes in stretches that fit into memory with their words."""
    filled = np.concatenate(([0], np.cumsum(sizes)))
    first = 0
    while first < len(sizes):
        most = int(np.searchsorted(filled, filled[first] + _STRETCH_CHARACTERS, "right")) - 1
        last = max(first + 1, min(most, first + _STRETCH_ROWS, len(sizes)))
        yield range(first, last)
        first = last


def in_order(parts: Sequence[Numbered]) -> Numbered:
    """Put tokens of several sources together by row, a row's in the order of the sources."""
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows, kind="stable")
    return Numbered(rows[order], np.concatenate([part.numbers for part in parts])[order])
