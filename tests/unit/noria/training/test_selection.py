import numpy as np
import pytest
import scipy.sparse

from noria.features.view import Origin
from noria.spec.model import SelectionStep
from noria.training.selection import kept_columns

NUMBERS = [Origin("numbers", False)] * 4


def _step(kind, threshold=None):
    return SelectionStep(kind=kind, threshold=threshold)


def _data(n=400):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    signal = y + rng.normal(0, 0.3, n)
    return np.column_stack([signal, signal * 2 + 1e-3, rng.normal(size=n), np.full(n, 3.0)]), y


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ([_step("constant")], [0, 1, 2]),
        ([_step("correlated", 0.9)], [0, 2, 3]),
        ([_step("single_feature", 0.8)], [0, 1]),
        ([_step("constant"), _step("correlated", 0.9), _step("single_feature", 0.8)], [0]),
    ],
    ids=["constant", "correlated", "single feature", "all three"],
)
def test_each_step_keeps_what_tells_something(steps, kept):
    """Column 1 repeats 0, column 2 is noise, column 3 never changes."""
    X, y = _data()
    found = kept_columns(steps, (X, y), NUMBERS[:4], "classification")
    assert found == kept


def test_shap_keeps_the_upper_quantile_of_importance():
    """Columns that move the prediction least go."""
    X, y = _data()
    X[:, 1] = np.random.default_rng(5).normal(size=len(y))
    assert kept_columns([_step("shap", 0.75)], (X, y), NUMBERS[:4], "classification") == [0]


def test_terms_of_a_text_always_stay():
    """A vocabulary has its own limits."""
    X, y = _data()
    matrix = scipy.sparse.csr_matrix(X)
    origins = [*NUMBERS[:2], Origin("words", True), Origin("words", True)]
    kept = kept_columns([_step("correlated", 0.9)], (matrix, y), origins, "classification")
    assert kept == [0, 2, 3]


def test_a_candidate_may_see_some_features_only():
    """Products help linear models and hold trees up."""
    X, y = _data()
    origins = [Origin("a", False), Origin("b", False), Origin("words", True), Origin("b", False)]
    only_b = SelectionStep(kind="features", names=("b",))
    assert kept_columns([only_b], (X, y), origins, "classification") == [1, 3]
    both = [only_b, _step("constant")]
    assert kept_columns(both, (X, y), origins, "classification") == [1]


def test_something_is_always_left():
    """A candidate without columns could not be fitted."""
    X, y = _data()
    assert kept_columns([_step("single_feature", 1.0)], (X, y), NUMBERS[:4], "classification") == [
        0
    ]


@pytest.mark.parametrize("kind", ["constant", "correlated", "shap"])
def test_gaps_are_no_obstacle(kind):
    """XGBoost takes them, and so does what chooses its columns."""
    X, y = _data()
    X[::7, 0] = np.nan
    step = _step(kind, None if kind == "constant" else 0.5)
    assert 0 in kept_columns([step], (X[:, [0, 2, 3]], y), NUMBERS[:3], "classification")


def test_regressions_choose_by_r2():
    """The target is a number."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 3))
    y = X[:, 1] * 3 + rng.normal(0, 0.1, 300)
    assert kept_columns([_step("single_feature", 0.5)], (X, y), NUMBERS[:3], "regression") == [1]


def test_shap_selection_bears_a_fold_without_a_class():
    """Class numbers of a fold may have a hole; XGBoost wants none."""
    X, y = _data()
    holed = np.where(y == 1, 2, 0)
    step = [_step("shap", 0.75)]
    assert kept_columns(step, (X, holed), NUMBERS, "classification") == kept_columns(
        step, (X, y), NUMBERS, "classification"
    )
    assert kept_columns(step, (X, np.zeros(len(y), dtype=int)), NUMBERS, "classification") == [
        0, 1, 2, 3,
    ]  # fmt: skip
