import numpy as np
import pytest
import scipy.sparse
from sklearn.metrics import f1_score, r2_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from noria.features.view import Origin
from noria.spec.model import SelectionStep
from noria.training.selection import kept_columns, scores_alone

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


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("gaps", [False, True])
def test_columns_alone_score_as_by_scikit_learns_cross_validation(task, gaps):
    """Holes among the classes, gaps in a column, ties: the same trees, the same scores."""
    rng = np.random.default_rng(4)
    y = rng.choice([0, 2, 5], 300) if task == "classification" else rng.normal(size=300)
    X = np.column_stack([y + rng.normal(0, s, 300) for s in (0.1, 1.0, 5.0)] + [np.round(y)])
    if gaps:
        X[::5, 1] = np.nan
    is_class = task == "classification"
    tree = DecisionTreeClassifier if is_class else DecisionTreeRegressor
    folds = (StratifiedKFold if is_class else KFold)(3, shuffle=True, random_state=42)
    expected = []
    for place in range(X.shape[1]):
        model = tree(min_samples_leaf=20, random_state=42)
        said = cross_val_predict(model, X[:, [place]], y, cv=folds)
        score = f1_score(y, said, average="weighted") if is_class else r2_score(y, said)
        expected.append(score)
    assert scores_alone(X, y, task) == pytest.approx(np.array(expected), abs=1e-12)
    assert max(expected) > 0.9
    assert min(expected) < 0.6


def test_a_number_beyond_single_precision_is_refused_as_scikit_learn_refuses_it():
    """The trees look at single precision: 1e300 would be judged as infinite."""
    X, y = _data()
    X[5, 0] = 1e300
    with pytest.raises(ValueError, match="infinity"), np.errstate(over="ignore"):
        scores_alone(X, y, "classification")


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
