"""Terms and signals of many texts are those of each text alone."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noria.columnar import kernel, terms, words
from noria.columnar.columns import Columns
from noria.columnar.kernel import count_terms, count_words
from noria.columnar.profiles import _text_signals
from noria.columnar.terms import TermBlock
from noria.errors import ModelCorruptError
from noria.features.blocks import TextBlock
from noria.features.text import SINGLE_WORDS, plain_words
from noria.features.text_signals import TextObserver

# Words that n-grams share, marks of every kind, and all that makes a text special.
_WORDS = st.sampled_from(
    ["red", "la", "no", "va", "12", "a1", "vpn2", "años", "año", "ΣΑΣ", "İ", "e\u0301", "“no”", "¿va",
     "[la]", "<b>", "a@b.es", "www.red.es", "HTTPS://red", "]", "\x1e", "\x00", "\u00a0", "red.va", "°c"]
)  # fmt: skip
_TEXTS = st.none() | st.lists(_WORDS, max_size=8).map(" ".join) | st.text(max_size=12)
_ROWS = st.lists(st.tuples(_TEXTS, _TEXTS), min_size=1, max_size=8)
_VOCABULARY = ["la", "la red", "la red no", "no", "red no va", "va", "año", "no va red la"]
_PARTS = [" la", "la ", "re", "red", " r", " no ", "ño", "va"]
_CLEAN = ["brackets", "urls", "tags", "digit_words", "non_alphabetic"]


def _block(**changed):
    data = {
        **SINGLE_WORDS, "kind": "text", "name": "t", "columns": ["one", "two"], "clean": _CLEAN,
        "terms": _VOCABULARY, "ngrams": [1, 4], "sublinear_tf": True, "hashed": False, "weight": 0.5,
    } | changed  # fmt: skip
    return {**data, "idf": [1.0 + place / 7 for place in range(len(data["terms"]))]}


_BLOCKS = {
    "words": _block(),
    "stems": _block(stemming="spanish", stop_words=["no"], terms=["la", "red va", "añ", "red"]),
    "pairs only": _block(ngrams=[2, 3], clean=["urls"], sublinear_tf=False),
    "compatible": _block(compatible=True),
    "replaced": _block(replace=[["red no", "la"]]),
    "parts": _block(analyzer="char_wb", ngrams=[2, 4], terms=_PARTS),
}


def _columns(rows, doubtful=()):
    n = len(rows)
    made = Columns(n, np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, np.int64))
    made.doubtful[list(doubtful)] = True
    made.texts = {"one": [row[0] for row in rows], "two": [row[1] for row in rows]}
    return made


def _found(block, columns):
    """Return each row's {term: value}, and which rows have words."""
    found, has_words = [{} for _ in range(columns.n_rows)], np.zeros(columns.n_rows, bool)
    for stretch in columns.words.stretches:
        here = has_words[stretch.start : stretch.stop]
        rows, places, values = block.entries(columns, stretch, here)
        for row, place, value in zip(rows, places, values, strict=True):
            found[stretch.start + row][int(place)] = float(value)
    return found, has_words.tolist()


@pytest.mark.parametrize("kind", _BLOCKS)
@settings(max_examples=150, deadline=None)
@given(rows=_ROWS, stretch=st.sampled_from([1, 3, 2000]), most_words=st.sampled_from([0, 300_000]))
def test_terms_of_many_rows_are_those_of_each_row_alone(kind, rows, stretch, most_words):
    """Wherever the rows are cut, and however few words may be remembered."""
    data = _BLOCKS[kind]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "_STRETCH_ROWS", stretch)
        patch.setattr(words, "_MOST_WORDS", most_words)
        patch.setattr(terms, "_MOST_TOKENS", most_words)
        found, has_words = _found(TermBlock(data), _columns(rows))
    for row, values, is_full in zip(rows, found, has_words, strict=True):
        alone = TextBlock(data)
        prepared = alone.prepare({"one": row[0], "two": row[1]})
        expected: dict[int, float] = {}
        alone.apply(prepared, 0, expected)
        assert values == pytest.approx(expected, rel=1e-14)
        assert is_full == bool(prepared)


def test_doubtful_rows_have_no_terms():
    """The row path answers them."""
    columns = _columns([("la red", None), ("la red", None)], doubtful=[0])
    found, has_words = _found(TermBlock(_block()), columns)
    assert (found[0], bool(found[1])) == ({}, True)
    assert has_words == [False, True]


def test_a_bundle_with_terms_without_a_weight_is_refused():
    """C would count beside its table."""
    for data in (_block(), _block(terms=["la"] * 5)):  # a word may stand there twice
        with pytest.raises(ModelCorruptError):
            TermBlock({**data, "idf": [1.0]})


@settings(max_examples=300, deadline=None)
@given(rows=_ROWS, stretch=st.sampled_from([1, 3, 2000]), data=st.data())
def test_signals_of_many_texts_are_those_of_each_text_alone(rows, stretch, data):
    """Of the answered rows, whichever they are; a row without a text counts as missing."""
    answered = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1))))
    observer = TextObserver({"one": ["la", "red", "año", "no"]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "_STRETCH_ROWS", stretch)
        answers = SimpleNamespace(columns=_columns(rows), places=np.array(answered, np.int64))
        found = _text_signals(answers, "one", observer.watched["one"])
    alone = [observer.observe({"one": rows[place][0]}).get("one") for place in answered]
    known = [signals for signals in alone if signals is not None]
    for part in ("characters", "words", "rare"):
        values = found[part]
        assert np.isnan(values).sum() == len(alone) - len(known)
        expected = [getattr(signals, part) for signals in known]
        assert sorted(values[~np.isnan(values)].tolist()) == sorted(expected)
    expected_counts = [sum(place in signals.terms for signals in known) for place in range(4)]
    counts, n, n_missing = found["terms"]
    assert (counts.tolist(), n, n_missing) == (expected_counts, len(known), len(alone) - len(known))


@pytest.mark.parametrize("width", [1, 63, 64, 65, 1000])
def test_terms_are_counted_in_c_as_numpy_counts_them(monkeypatch, width):
    """By row, terms ascending; rows without terms among them."""
    rng = np.random.default_rng(width)
    rows = np.sort(rng.integers(0, 40, 500)).astype(np.uint16)
    given_terms = rng.integers(0, width, 500).astype(np.int32)
    assert kernel.TreeKernel.is_built()
    in_c = count_terms(rows, given_terms, 50, width)
    monkeypatch.setattr(kernel, "_library", lambda: None)
    for one, other in zip(in_c, count_terms(rows, given_terms, 50, width), strict=True):
        assert one.tolist() == other.tolist()


def test_words_are_counted_in_c_as_numpy_counts_them(monkeypatch):
    """What is no word, what is not watched, and rows that are not wanted."""
    rng = np.random.default_rng(0)
    rows = np.sort(rng.integers(0, 40, 500)).astype(np.uint16)
    numbers = rng.integers(-1, 9, 500).astype(np.int32)
    wanted = rng.random(50) < 0.5
    in_c = count_words(rows, numbers, wanted, 6)
    monkeypatch.setattr(kernel, "_library", lambda: None)
    for one, other in zip(in_c, count_words(rows, numbers, wanted, 6), strict=True):
        assert one.tolist() == other.tolist()
    assert in_c.n_words.sum() > in_c.n_known.sum() > in_c.counts.sum() > 0


def test_only_what_is_special_is_cleaned_alone():
    """The rest goes through its words, each looked at once."""
    texts = [
        "la red",
        "<la>",
        "x@y",
        "www.red.es",
        "WWW.red.es",
        "a\x00b",
        "[x]",
        "https://a",
        "¿va?",
    ]
    found, others = plain_words(texts)
    assert others == [1, 2, 3, 4, 5, 6, 7]
    assert [word for word in found if word != "\x00"] == ["la", "red", "va"]


def test_rows_are_cut_where_their_texts_are_long():
    """So many rows of so long texts fit into memory at once."""
    columns = _columns([("x" * 1_500_000, "y" * 500_000)] * 5)
    assert [len(stretch) for stretch in columns.words.stretches] == [2, 2, 1]
    assert [*_columns([]).words.stretches] == []
