import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from noria.errors import TrainingFailedError
from noria.training.cross_validation import Fold, cross_validate, fit, outputs


def _fold(seed=0, n_classes=3):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(120, 4)), rng.integers(0, n_classes, 120)
    X[:, 0] += y
    return Fold(X[:80], y[:80], X[80:], y[80:])


def test_scores_equal_fitting_by_hand():
    """One trial a parameter set, one score a fold."""
    folds = [_fold(0), _fold(1)]
    sets = [{"C": 1.0}, {"C": 0.01}]
    trials = cross_validate(
        "logistic_regression", "classification", sets, folds, metric="f1_macro", seed=0
    )
    assert [trial.params for trial in trials] == sets
    for fold, score in zip(folds, trials[0].scores, strict=True):
        model = LogisticRegression(max_iter=1000, random_state=0).fit(fold.X_fit, fold.y_fit)
        expected = f1_score(fold.y_score, model.predict(fold.X_score), average="macro")
        assert score == pytest.approx(expected)
    assert trials[0].mean == pytest.approx(np.mean(trials[0].scores))


def test_a_class_absent_from_a_folds_fit_rows_gets_probability_zero():
    """Columns stay the project's classes, whatever the fold has seen."""
    fold = _fold()
    seen = fold.y_fit != 1
    model = fit(
        "logistic_regression", "classification", {}, (fold.X_fit[seen], fold.y_fit[seen]), seed=0
    )
    shares = outputs(model, fold.X_score, 3)
    assert shares.shape == (40, 3)
    assert not shares[:, 1].any()
    assert np.allclose(shares.sum(axis=1), 1.0)


def test_what_cannot_be_fitted_says_which_algorithm_and_parameters():
    """The failure belongs to one candidate."""
    fold = _fold()
    with pytest.raises(TrainingFailedError, match=r"ridge with \{'alpha': -1\}"):
        fit("ridge", "regression", {"alpha": -1}, (fold.X_fit, fold.y_fit), seed=0)


@pytest.mark.parametrize("rarest", [1, 2, 7])
def test_the_calibrated_svm_fits_whatever_the_rarest_class_holds(rarest):
    """Early time folds may hold a class once."""
    rng = np.random.default_rng(0)
    y = np.array([0] * 30 + [1] * 30 + [2] * rarest)
    X = rng.normal(size=(len(y), 3)) + y[:, None]
    model = fit("linear_svm", "classification", {}, (X, y), seed=0)
    assert outputs(model, X, 3).shape == (len(y), 3)
    assert model.get_params()["cv"] == 5
