import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler

from noria.features.matrix import from_bytes, stack_rows, to_bytes
from noria.spec.features import CategoricalFeature, NumericFeature, TextFeature
from tests.support.features import dense as _dense
from tests.support.features import fitted as _fitted

TEXTS = ["red caída en sede", "red lenta red", "clave vencida", "clave y red", "", "sede norte"]


@pytest.mark.parametrize("sublinear", [False, True])
@pytest.mark.parametrize(("min_df", "max_features"), [(1, 5000), (2, 5000), (1, 4)])
def test_tfidf_equals_scikit_learns(sublinear, min_df, max_features):
    """Same weights, same columns, for every setting a spec may choose."""
    feature = TextFeature(
        name="t", kind="text", columns=("t",), clean=(), ngrams=(1, 2),
        min_df=min_df, max_features=max_features, sublinear_tf=sublinear,
    )  # fmt: skip
    view = _fitted([feature], [{"t": text} for text in TEXTS])
    theirs = TfidfVectorizer(
        ngram_range=(1, 2), token_pattern=r"\S+", min_df=min_df, sublinear_tf=sublinear
    ).fit(TEXTS)
    if max_features < len(theirs.vocabulary_):
        theirs.set_params(vocabulary=view.data["blocks"][0]["terms"]).fit(TEXTS)
        assert {"red", "clave"} <= set(view.data["blocks"][0]["terms"])
    assert view.data["blocks"][0]["terms"] == sorted(theirs.vocabulary_)
    expected = theirs.transform(TEXTS).toarray()
    assert np.allclose(_dense(view, [{"t": text} for text in TEXTS]), expected, atol=1e-15)


@pytest.mark.parametrize(
    ("private", "least", "shown"),
    [
        ((), 2, ["t: clave", "t: garcía", "t: red"]),
        (("t",), 2, ["t: clave", "t: (rare term 1)", "t: red"]),  # a name stays that row's
        (("t",), 1, ["t: clave", "t: garcía", "t: red"]),
        (("t",), 3, ["t: (rare term 0)", "t: (rare term 1)", "t: (rare term 2)"]),
    ],
)
def test_a_word_of_few_rows_of_a_private_column_is_learned_and_not_shown(private, least, shown):
    """Names of features stand in reports and explanations; the answers stay what they are."""
    feature = TextFeature(name="t", kind="text", columns=("t",), clean=())
    rows = [{"t": text} for text in ("clave red", "clave garcía", "red")]
    view = _fitted([feature], rows, private=private, least=least)
    assert view.names() == shown
    assert np.array_equal(_dense(view, rows), _dense(_fitted([feature], rows), rows))


@pytest.mark.parametrize(
    ("private", "shown"),
    [((), ["c=garcía", "c=norte", "c=sur"]), (("c",), ["c=(rare level 0)", "c=norte", "c=sur"])],
)
def test_a_level_of_one_row_of_a_private_column_is_learned_and_not_shown(private, shown):
    """As words are."""
    feature = CategoricalFeature(name="c", kind="categorical", columns=("c",))
    rows = [{"c": level} for level in ("norte", "sur", "norte", "sur", "garcía")]
    view = _fitted([feature], rows, private=private)
    assert view.names() == shown
    assert np.array_equal(_dense(view, rows), _dense(_fitted([feature], rows), rows))


@pytest.mark.parametrize("impute", ["mean", "median", "mode"])
@pytest.mark.parametrize(
    ("scale", "scaler"),
    [("standard", StandardScaler), ("minmax", MinMaxScaler), ("robust", RobustScaler)],
)
def test_numbers_equal_scikit_learns(impute, scale, scaler):
    """Imputed then scaled, as a pipeline of both would."""
    rng = np.random.default_rng(0)
    X = rng.normal(3, 2, (60, 2)).round(1)
    X[rng.random(X.shape) < 0.2] = np.nan
    rows = [{"a": None if math.isnan(a) else a, "b": None if math.isnan(b) else b} for a, b in X]
    feature = NumericFeature(
        name="n", kind="numeric", columns=("a", "b"), impute=impute, scale=scale
    )
    strategy = {"mode": "most_frequent"}.get(impute, impute)
    expected = scaler().fit_transform(SimpleImputer(strategy=strategy).fit_transform(X))
    assert np.allclose(_dense(_fitted([feature], rows), rows), expected, atol=1e-12)


def test_one_hot_equals_scikit_learns_and_ignores_unseen_levels():
    """An unseen level is all zeros; a missing one takes the mode."""
    levels = ["b", "a", "b", "c", "b"]
    rows = [{"c": level} for level in levels]
    view = _fitted([CategoricalFeature(name="c", kind="categorical", columns=("c",))], rows)
    expected = OneHotEncoder(sparse_output=False).fit_transform([[level] for level in levels])
    assert np.array_equal(_dense(view, rows), expected)
    assert view.transform({"c": "new"}) == {}
    assert view.transform({"c": None}) == view.transform({"c": "b"})
    assert view.data["blocks"][0]["levels"] == [["a", "b", "c"]]


def test_unimputed_gaps_are_nan_and_a_column_empty_in_training_is_constant():
    """Missing stays visible to models that take it; an empty column carries nothing."""
    gaps = NumericFeature(name="n", kind="numeric", columns=("a",), impute="none", scale="none")
    view = _fitted([gaps], [{"a": 1.0}, {"a": None}])
    assert math.isnan(view.transform({"a": None})[0])
    empty = NumericFeature(name="n", kind="numeric", columns=("a",))
    assert _fitted([empty], [{"a": None}, {"a": None}]).transform({"a": None}) == {0: 0.0}


def test_constant_columns_scale_to_zero_not_to_infinity():
    """Nor does the rounding of a mean become a spread."""
    feature = NumericFeature(name="n", kind="numeric", columns=("a",))
    for value in (5.0, 0.1, 1e9 + 0.1):
        view = _fitted([feature], [{"a": value}] * 48)
        assert abs(view.transform({"a": value * 1.0001})[0]) <= abs(value)


_VALUES = st.fixed_dictionaries(
    {
        "t": st.none() | st.text(max_size=60) | st.sampled_from(TEXTS),
        "n": st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32),
        "c": st.none() | st.text(max_size=5),
    }
)


@settings(deadline=None)
@given(st.lists(_VALUES, min_size=2, max_size=20))
def test_a_row_alone_equals_the_row_inside_its_batch(rows):
    """No statistic of a batch reaches a row: training and serving cannot differ."""
    features = [
        TextFeature(name="t", kind="text", columns=("t",), stemming="spanish"),
        NumericFeature(name="n", kind="numeric", columns=("n",)),
        CategoricalFeature(name="c", kind="categorical", columns=("c",), impute="level"),
    ]
    view = _fitted(features, rows)
    together = _dense(view, rows)
    alone = np.vstack([_dense(view, [row]) for row in rows])
    assert np.array_equal(together, alone)
    assert together.shape == (len(rows), view.width)


@pytest.mark.parametrize("sparse", [True, False])
def test_matrices_survive_their_files(sparse):
    """What a fold saves is what a candidate reads."""
    rows = [{0: 1.0, 3: -2.5}, {}, {2: 1e-9}]
    matrix = stack_rows(rows, 4, sparse=sparse)
    again = from_bytes(to_bytes(matrix))
    left, right = (m.toarray() if sparse else m for m in (matrix, again))
    assert np.array_equal(left, right)
    assert left.tolist() == [[1.0, 0, 0, -2.5], [0, 0, 0, 0], [0, 0, 1e-9, 0]]
