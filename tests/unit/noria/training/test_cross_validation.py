import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from noria.spec.model import CandidateSection
from noria.training.cross_validation import CrossValidation, Fold
from tests.support.specs import quick_tickets

CANDIDATE = CandidateSection(name="one", algorithm="logistic_regression")
GO_ON = lambda fold, mean: False  # noqa: E731


def _fold(seed=0, n_classes=3):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(120, 4)), rng.integers(0, n_classes, 120)
    X[:, 0] += y
    return Fold(X[:80], y[:80], X[80:], y[80:])


def _validation(folds, **changes):
    spec = quick_tickets()
    evaluation = spec.evaluation.model_copy(update={"primary_metric": "f1_macro"})
    return CrossValidation(
        spec.model_copy(update={"evaluation": evaluation, **changes}),
        CANDIDATE,
        folds,
        ["a", "b", "c"],
    )


def test_scores_equal_fitting_by_hand():
    """One score per fold."""
    folds = [_fold(0), _fold(1)]
    scores = _validation(folds).evaluate({"C": 0.5}, GO_ON)
    for fold, score in zip(folds, scores, strict=True):
        model = LogisticRegression(C=0.5, max_iter=1000, random_state=0)
        predicted = model.fit(fold.X_fit, fold.y_fit).predict(fold.X_score)
        assert score == pytest.approx(f1_score(fold.y_score, predicted, average="macro"))


def test_a_trial_that_is_given_up_runs_no_further_fold():
    """Pruning saves the folds that are left."""
    folds = [_fold(seed) for seed in range(4)]
    scores = _validation(folds).evaluate({}, lambda fold, mean: fold == 1)
    assert len(scores) == 2


def test_out_of_fold_answers_are_calibrated_decided_and_scored_fold_by_fold():
    """The selection compares what will be served, not raw scores."""
    folds = [_fold(0), _fold(1)]
    validation = _validation(folds)
    found = validation.out_of_fold({"C": 1.0})
    assert [len(answers.outputs) for answers in found.answers] == [40, 40]
    for answers in found.answers:
        assert np.allclose(answers.outputs.sum(axis=1), 1.0)
        assert np.array_equal(answers.decided, answers.outputs.argmax(axis=1))
    truth = np.concatenate([fold.y_score for fold in folds])
    shares = np.concatenate([answers.outputs for answers in found.answers])
    # A calibrated model is as sure on average as the classes are frequent.
    assert np.allclose(shares.mean(axis=0), np.bincount(truth) / len(truth), atol=0.02)


def test_remembered_trials_need_no_second_fit():
    """The best trial's answers are those it was scored on."""
    folds = [_fold(0)]
    validation = _validation(folds)
    validation.evaluate({"C": 1.0}, GO_ON)
    again = _validation(folds)
    assert validation.out_of_fold({"C": 1.0}).scores == again.out_of_fold({"C": 1.0}).scores
