"""What monitoring keeps of a text instead of the text: numbers and frequent words, nothing else.

Predict computes it before personal data are masked, training for the reference profile: the same
code. Standard library only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from noria.features.text import SINGLE_WORDS, TextPreparer
from noria.records.prediction import Row, TextSignals

MAX_WATCHED = 300  # words a column
# A word in fewer training texts says nothing, and might name a person; nor are words with digits
# or addresses watched.
_MIN_TEXTS, _MIN_SHARE = 10, 0.01
# A word with an @ inside: r"\S+@\S+", which tries every start again and takes quadratic time.
ADDRESS = r"(?<!\S)\S[^\s@]*+@\S+"
_SETTINGS = {
    **SINGLE_WORDS,
    "columns": [],
    "clean": ["urls", "digit_words", "non_alphabetic"],
}
_PLAIN = TextPreparer(_SETTINGS)
_WITH_ADDRESSES = TextPreparer({**_SETTINGS, "replace": [[ADDRESS, " "]]})


def words_of(text: str) -> list[str]:
    """Return the words of a text that may be watched; few texts have an address."""
    return (_WITH_ADDRESSES if "@" in text else _PLAIN).tokens(text)


def watchable(word: str) -> str | None:
    """Return one of `noria.features.text.plain_words` as it may be watched; None if not at all."""
    return _PLAIN.token(word)


def watched_words(texts: Iterable[str]) -> list[str]:
    """Return the words of the most texts, at most `MAX_WATCHED`, each in ten and 1 % or more.

    Examples
    --------
    >>> watched_words(["la red no va"] * 10 + ["hola"] * 9)
    ['la', 'no', 'red', 'va']
    """
    counts: Counter[str] = Counter()
    n_all = 0
    for text in texts:
        n_all += 1
        counts.update(set(words_of(text)))
    least = max(_MIN_TEXTS, _MIN_SHARE * n_all)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [word for word, n_texts in ordered[:MAX_WATCHED] if n_texts >= least]


class TextObserver:
    """Turns texts into signals that hold no sentence.

    Parameters
    ----------
    watched : mapping of text column to words
        What `watched_words` found for each.

    Attributes
    ----------
    watched : dict of text column to {word: place}
    """

    def __init__(self, watched: Mapping[str, Sequence[str]]) -> None:
        self.watched = {
            column: {word: place for place, word in enumerate(words)}
            for column, words in watched.items()
        }

    def observe(self, row: Row) -> dict[str, TextSignals]:
        """Return the signals of each text column that the row fills.

        Returns
        -------
        dict of column to dict
            Columns without a text are left out.

        Examples
        --------
        >>> TextObserver({"text": ["la", "red"]}).observe({"text": "La red de Ana"})
        {'text': TextSignals(characters=13, words=4, rare=0.5, terms=(0, 1))}
        """
        found = {}
        for column, places in self.watched.items():
            text = row.get(column)
            if isinstance(text, str) and text:
                found[column] = _signals(text, words_of(text), places)
        return found


def _signals(text: str, words: Sequence[str], places: Mapping[str, int]) -> TextSignals:
    known = [places[word] for word in words if word in places]
    return TextSignals(
        characters=len(text),
        words=len(words),
        rare=1.0 - len(known) / len(words) if words else 0.0,
        terms=tuple(sorted(set(known))),
    )
