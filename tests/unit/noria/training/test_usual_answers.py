import numpy as np
import pytest

from noria.evaluation.metrics import Answers
from noria.spec.model import CandidateSection
from noria.training.calibration import no_calibration
from noria.training.cross_validation import OutOfFold
from noria.training.decisions import most_probable
from noria.training.estimators import fit, raw_scores
from noria.training.usual_answers import usual_answers

TREES = CandidateSection(
    name="trees", algorithm="lightgbm", params={"n_estimators": 60, "num_leaves": 15}
)


def _held_out(n_classes):
    decision = most_probable(n_classes)
    return OutOfFold(no_calibration(n_classes), decision, (), (), TREES.params)


def _data(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    return X, (X[:, 0] + rng.normal(size=n) > 0).astype(int)


@pytest.mark.parametrize(("n", "n_answered"), [(100, 50), (2000, 600), (8000, 800)])
def test_enough_rows_are_answered_and_no_more_models_fitted_than_needed(n, n_answered):
    """Half of few rows, a tenth of many."""
    found = usual_answers(TREES, "classification", _held_out(2), _data(n), n_classes=2, seed=0)
    assert len(found.outputs) == pytest.approx(n_answered, abs=100)


def test_they_are_as_sure_as_the_model_on_later_rows_and_those_of_fewer_rows_are_not():
    """Control: a model of half of the rows is as sure by far less."""
    X, y = _data(2000)
    later = _data(4000, seed=9)[0]

    def sureness(rows):
        model = fit(TREES, "classification", TREES.params, rows, seed=0)
        return no_calibration(2).probabilities(raw_scores(model, later, 2)).max(axis=1).mean()

    usual = usual_answers(TREES, "classification", _held_out(2), (X, y), n_classes=2, seed=0)
    final = sureness((X, y))
    near = abs(usual.outputs.max(axis=1).mean() - final)
    assert near < 0.012
    assert abs(sureness((X[:1000], y[:1000])) - final) > near


def test_a_regression_has_values_and_no_classes():
    """Nothing is decided."""
    X, y = _data(200)
    found = usual_answers(TREES, "regression", _held_out(0), (X, y.astype(float)), n_classes=0, seed=0)  # fmt: skip
    assert isinstance(found, Answers)
    assert found.decided is None
