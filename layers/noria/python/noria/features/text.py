"""From raw text to n-grams: stateless, the same code in training and in serving.

Nothing here learns and nothing is downloaded. Settings come from the spec and travel inside the
serving bundle, stop words included.
"""

import re
import string
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any

from noria.records.prediction import Row

_BRACKETS = re.compile(r"\[.*?\]")
_URLS = re.compile(r"https?://\S+|www\.\S+")
_TAGS = re.compile(r"<.*?>+")
_DIGIT_WORDS = re.compile(r"\b[^\W\d]*+\d\w*")  # possessive: linear on any text
_DIGIT = re.compile(r"\d")
_NON_ASCII = re.compile(r"[^\x00-\x7F]+")
_PUNCTUATION = string.punctuation + "¿¡«»“”‘’…–—·"
_MARKS = bytes(32 if chr(octet) in string.punctuation else octet for octet in range(256))
_WIDE_MARKS = [mark for mark in _PUNCTUATION if not mark.isascii()]
_MARKS_JOINED = str.maketrans(dict.fromkeys(string.punctuation))

_BETWEEN = "\x1e"  # the record separator: white space in Unicode, in no text that people write
END = "\0"  # a word between plain texts, in none of them
_BETWEEN_PLAIN = f"\n{END}\n"
# What brackets, tags, addresses and URLs end with or have.
_SPECIAL = ("]", ">", "@", "://", "www.")
_MOST_MARKS = 30  # combining marks in a row
_LONG_RUN = re.compile(rf"[^\x00-\x7F\w\s]{{{_MOST_MARKS + 1},}}")  # marks are no part of words

_LONGEST_STEMMED = 40  # characters; longer "words" are noise, and would fill the memo
_MEMO_SIZE = 65_536  # stems of distinct words kept; natural language repeats itself


Settings = Mapping[str, Any]  # of a fitted text block
# Single words as they are written, but for case and marks; `columns` and `clean` come with the use.
SINGLE_WORDS: Settings = {
    "replace": [],
    "stop_words": [],
    "stemming": "none",
    "compatible": False,
    "analyzer": "word",
    "ngrams": [1, 1],
}


class TextPreparer:
    """Turn the text columns of a row into n-grams.

    Parameters
    ----------
    settings : mapping
        `columns`, `clean`, `replace`, `stop_words` (the words themselves), `stemming`,
        `compatible`, `analyzer`, `ngrams`: the spec's text feature, as data.

    Notes
    -----
    Order: Unicode NFC, lower case, replacements, brackets, URLs, tags, punctuation, words with
    digits, tokens at white space, alphabetic tokens, stop words, stems. With `compatible`,
    accents are dropped and punctuation joins its neighbours ("a/b" -> "ab"), as the ticket
    system that Noria replaces did.
    """

    def __init__(self, settings: Settings) -> None:
        self._columns: Sequence[str] = settings["columns"]
        self._clean = frozenset(settings["clean"])
        self._replace = [(re.compile(pattern), by) for pattern, by in settings["replace"]]
        self._stop_words = frozenset(settings["stop_words"])
        self._compatible: bool = settings["compatible"]
        self._stem = stemmer(settings["stemming"])
        self._shortest, self._longest = settings["ngrams"]
        self.grams = self._char_grams if settings["analyzer"] == "char_wb" else self._word_grams

    def prepare(self, row: Row) -> list[str]:
        """Return the n-grams of a row in order, repeats included; missing text is empty."""
        tokens: list[str] = []
        for column in self._columns:
            text = row.get(column)
            if text:
                tokens += self.tokens(text)
        return self.grams(tokens)

    def tokens(self, text: str) -> list[str]:
        """Return the cleaned, filtered and stemmed tokens of one text."""
        return self._filtered(self._cleaned(text))

    @property
    def is_by_word(self) -> bool:
        """Whether the tokens of a plain text (`plain_words`) are those of its words."""
        return not (self._compatible or self._replace)

    def token(self, word: str) -> str | None:
        """Return the token of one of `plain_words`; None where it gives none."""
        if not word.isalpha():
            if "digit_words" in self._clean and _DIGIT.search(word):
                word = _DIGIT_WORDS.sub("", word)
            if not word or ("non_alphabetic" in self._clean and not word.isalpha()):
                return None
        return None if word in self._stop_words else self._stem(word)

    def token_lists(self, texts: Sequence[str]) -> list[list[str]]:
        """Return `tokens` of many texts: cleaned as one, titles of tickets in two thirds of the time.

        A sign between them that is a blank to every step keeps them apart; a text that holds it,
        or a spec's own replacements, which may look across it, go text by text.
        """
        if self._replace or any(_BETWEEN in text for text in texts):
            return [self.tokens(text) for text in texts]
        together = self._cleaned(f"{_BETWEEN}\n".join(texts))
        return [self._filtered(part) for part in together.split(_BETWEEN)] if texts else []

    def _filtered(self, cleaned: str) -> list[str]:
        """Return the tokens of a cleaned text."""
        words = cleaned.split()
        if "non_alphabetic" in self._clean and not "".join(words).isalpha():
            words = [word for word in words if word.isalpha()]
        if stop := self._stop_words:
            words = [word for word in words if word not in stop]
        stem = self._stem
        return words if stem is str else [stem(word) for word in words]

    def _cleaned(self, text: str) -> str:
        if not self._compatible:
            text = composed(text)
        text = text.lower()
        for pattern, by in self._replace:
            text = pattern.sub(by, text)
        if "brackets" in self._clean:
            text = _without_pairs(text, _BRACKETS, "]")
        if "urls" in self._clean and ("://" in text or "www." in text):
            text = _URLS.sub("", text)
        if "tags" in self._clean:
            text = _without_pairs(text, _TAGS, ">")
        text = text.translate(_MARKS_JOINED) if self._compatible else _without_marks(text)
        if "digit_words" in self._clean and _DIGIT.search(text):
            text = _DIGIT_WORDS.sub("", text)
        return _NON_ASCII.sub("", text) if self._compatible else text

    def _word_grams(self, tokens: list[str]) -> list[str]:
        grams = list(tokens) if self._shortest == 1 else []
        for size in range(max(self._shortest, 2), self._longest + 1):
            grams += [
                " ".join(tokens[start : start + size]) for start in range(len(tokens) - size + 1)
            ]
        return grams

    def _char_grams(self, tokens: list[str]) -> list[str]:
        grams = []
        for token in tokens:
            padded = f" {token} "
            for size in range(self._shortest, self._longest + 1):
                if size >= len(padded):  # a short word counts once
                    grams.append(padded)
                    break
                grams += [padded[i : i + size] for i in range(len(padded) - size + 1)]
        return grams


def plain_words(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    r"""Return the words of plain texts, cleaned as one, and the places of the others.

    A text is plain without brackets, tags, addresses or URLs: then every `TextPreparer` that
    `is_by_word` has the same words of it. The others have none here.

    Returns
    -------
    tuple of (list of str, list of int)
        The words in order, an `END` between two texts.

    Examples
    --------
    >>> plain_words(["La red", "<b>no</b>", "no va."])
    (['la', 'red', '\x00', '\x00', 'no', 'va'], [1])
    """
    others = [place for place, text in enumerate(texts) if END in text]
    parts = _without(texts, others)
    together = composed(_BETWEEN_PLAIN.join(parts)).lower()
    if any(sign in together for sign in _SPECIAL):
        parts = together.split(_BETWEEN_PLAIN)
        special = [i for i, part in enumerate(parts) if any(sign in part for sign in _SPECIAL)]
        together = _BETWEEN_PLAIN.join(_without(parts, special))
        others = sorted(others + special)
    return _without_marks(together).split(), others


def _without(texts: Sequence[str], places: Sequence[int]) -> Sequence[str]:
    """Return texts with those at some places empty."""
    if not places:
        return texts
    kept = list(texts)
    for place in places:
        kept[place] = ""
    return kept


def composed(text: str) -> str:
    """Return a text in Unicode's composed form (NFC), in linear time.

    Of a run of combining marks only the first 30 stay, as in Unicode's stream-safe format [1]_:
    sorting a longer run takes quadratic time, and no language writes one.

    References
    ----------
    .. [1] Unicode Standard Annex 15, "Unicode normalization forms", section 13.
    """
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return unicodedata.normalize("NFC", _LONG_RUN.sub(_without_many_marks, text))
    return text  # Latin-1 has no combining marks


def _without_marks(text: str) -> str:
    """Return a text with blanks for punctuation."""
    octets = text.encode("utf-8", "surrogatepass").translate(_MARKS)
    text = octets.decode("utf-8", "surrogatepass")
    if not text.isascii():
        for mark in _WIDE_MARKS:
            text = text.replace(mark, " ")
    return text


def _without_many_marks(run: re.Match[str]) -> str:
    kept, n_marks = [], 0
    for character in run[0]:
        n_marks = n_marks + 1 if unicodedata.combining(character) else 0
        if n_marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)


def _without_pairs(text: str, pattern: re.Pattern[str], closing: str) -> str:
    """Remove a pattern that a sign closes, in linear time.

    Line by line, and only as far as the line's last closing sign: after it every opening sign
    would scan to the end for nothing, which takes quadratic time on "<<<<…".
    """
    if closing not in text:
        return text
    lines = []
    for line in text.split("\n"):
        end = line.rfind(closing) + 1
        lines.append(pattern.sub("", line[:end]) + line[end:])
    return "\n".join(lines)


def stemmer(language: str) -> Callable[[str], str]:
    """Return the Snowball stemmer of a language, with a memo; "none" returns words as they are."""
    if language == "none":
        return str
    return _snowball(language)


@lru_cache(maxsize=4)
def _snowball(language: str) -> Callable[[str], str]:
    algorithm = _one_language(language)
    stem: Callable[[str], str] = lru_cache(_MEMO_SIZE)(algorithm.stemWord)
    return lambda word: stem(word) if len(word) <= _LONGEST_STEMMED else word


def _one_language(language: str) -> Any:
    """Return the stemmer of one language.

    The package's own `__init__` imports all of its languages: a fifth of a cold start. So its
    module is imported below a bare package of the same name, which then makes room again.
    """
    name = "snowballstemmer"
    if name in sys.modules:
        return sys.modules[name].stemmer(language)
    found = PathFinder.find_spec(name)
    if found is None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)
    bare = ModuleType(name)
    bare.__path__ = found.submodule_search_locations or []
    sys.modules[name] = bare
    try:
        module = import_module(f"{name}.{language}_stemmer")
    finally:
        del sys.modules[name]
    return getattr(module, f"{language.capitalize()}Stemmer")()
