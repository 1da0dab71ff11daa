import numpy as np
import pytest
import scipy.sparse

from noria.errors import TrainingFailedError
from noria.spec.algorithms import ALGORITHMS
from noria.spec.model import CandidateSection
from noria.training import estimators
from noria.training.estimators import fit, raw_scores
from tests.support.models import SMALL


def _data(n_rows=120, n_classes=3):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_rows, 4)), rng.integers(0, n_classes, n_rows)
    X[:, 0] += y
    return X, y


def _candidate(algorithm, **settings):
    return CandidateSection(name="one", algorithm=algorithm, **settings)


@pytest.mark.parametrize("algorithm", ["logistic_regression", "xgboost", "lightgbm", "svm"])
def test_a_class_absent_from_the_fit_rows_is_as_good_as_impossible(algorithm):
    """Columns stay the project's classes, whatever the fold has seen; XGBoost accepts gaps too."""
    X, y = _data()
    seen = y != 1
    model = fit(_candidate(algorithm), "classification", {}, (X[seen], y[seen]), seed=0)
    scores = raw_scores(model, X, 3)
    assert scores.shape == (120, 3)
    assert (scores[:, 1] < scores[:, [0, 2]].max(axis=1) - 3).all()


def test_what_cannot_be_fitted_says_which_algorithm_and_parameters():
    """The failure belongs to one candidate."""
    X, y = _data()
    with pytest.raises(TrainingFailedError, match=r"ridge with \{'alpha': -1\}"):
        fit(_candidate("ridge"), "regression", {"alpha": -1}, (X, y), seed=0)


def test_parameters_that_need_too_much_memory_fail_and_not_the_process(monkeypatch):
    """One trial of a search, like one that the estimator refuses."""

    def build(*_, **__):
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr(estimators, "build", build)
    with pytest.raises(TrainingFailedError, match=r"ridge .* Unable to allocate"):
        fit(_candidate("ridge"), "regression", {}, _data(), seed=0)


@pytest.mark.parametrize("algorithm", ["xgboost", "gradient_boosting", "logistic_regression"])
def test_balanced_weights_find_more_of_a_rare_class(algorithm):
    """By row weights where the algorithm has no class weights of its own."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(600, 3))
    y = (X[:, 0] + rng.normal(scale=1.0, size=600) > 1.8).astype(int)
    found = {}
    size = {} if algorithm == "logistic_regression" else {"n_estimators": 10, "max_depth": 2}
    for weight in (None, "balanced"):
        params = {"class_weight": weight, **size}
        model = fit(_candidate(algorithm), "classification", params, (X, y), seed=0)
        found[weight] = int((raw_scores(model, X, 2).argmax(axis=1) == 1).sum())
    assert found["balanced"] > found[None]


@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_matrix])
def test_smote_balances_only_the_rows_a_model_is_fitted_on(make, monkeypatch):
    """Scored rows are never synthetic: the replaced system scored its own neighbours."""
    X, y = _data(200, 2)
    y[20:] = 0
    seen = {}

    class Recorder:
        def fit(self, X, y):
            seen["counts"] = np.bincount(y).tolist()
            return self

    monkeypatch.setattr(estimators, "build", lambda *_, **__: Recorder())
    candidate = _candidate("logistic_regression", resample="smote")
    fit(candidate, "classification", {}, (make(X), y), seed=0)
    assert seen["counts"][0] == seen["counts"][1] == int((y == 0).sum())


def test_smote_leaves_a_class_of_one_row_alone():
    """There is no neighbour to make another from."""
    X, y = _data(60, 2)
    y[:] = 0
    y[3] = 1
    candidate = _candidate("logistic_regression", resample="smote")
    fit(candidate, "classification", {}, (X, y), seed=0)


def _inside(numbers):
    """Return the ends of a range that an estimator must take, as small as they can be."""
    low = numbers.low
    if numbers.above:
        low = numbers.low + 0.25
    return [int(low) if numbers.whole else float(low)]


TRIED = [
    (name, task, parameter)
    for name, entry in ALGORITHMS.items()
    for task in sorted(entry.tasks)
    for parameter in entry.params
    if not (parameter.endswith("class_weight") and task == "regression")
]


@pytest.mark.parametrize(("algorithm", "task", "parameter"), TRIED)
def test_an_estimator_takes_what_a_spec_may_set(algorithm, task, parameter):
    """The least of every range, and every word, can be fitted."""
    X, y = _data(80, 2)
    allowed = ALGORITHMS[algorithm].params[parameter]
    values = [v for numbers in allowed.ranges for v in _inside(numbers)] + [*allowed.words]
    assert values
    for value in values:
        assert value in allowed
        params = {**SMALL.get(algorithm, {}), parameter: value}
        fit(_candidate(algorithm), task, params, (X, y), seed=0)


@pytest.mark.parametrize(("algorithm", "task", "parameter"), TRIED)
def test_an_estimator_of_scikit_learn_refuses_what_a_spec_may_not_set(algorithm, task, parameter):
    """Just outside each range; XGBoost and LightGBM take much in silence and are not asked."""
    if algorithm in ("xgboost", "lightgbm"):
        return
    X, y = _data(80, 2)
    allowed = ALGORITHMS[algorithm].params[parameter]
    outside = ["no such word", *(_outside(numbers) for numbers in allowed.ranges)]
    for value in outside:
        assert value not in allowed
        params = {**SMALL.get(algorithm, {}), parameter: value}
        with pytest.raises(TrainingFailedError):
            fit(_candidate(algorithm), task, params, (X, y), seed=0)


def _outside(numbers):
    """Return what is too small even where zero is useless but taken."""
    return int(numbers.low) - 2 if numbers.whole else float(numbers.low) - 2.0
