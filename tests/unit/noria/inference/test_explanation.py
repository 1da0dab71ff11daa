import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import shap

from noria.bundle.exported import Features
from noria.bundle.exporters import export
from noria.inference.explanation import Explainer
from noria.inference.scoring.loading import load_scorer
from noria.records.bundle import Model
from noria.training.algorithms import build

SMALL = {
    "random_forest": {"n_estimators": 8, "max_depth": 5},
    "extra_trees": {"n_estimators": 8, "max_depth": 5},
    "decision_tree": {"max_depth": 5},
    "gradient_boosting": {"n_estimators": 10},
    "xgboost": {"n_estimators": 10, "max_depth": 4},
    "lightgbm": {"n_estimators": 10, "min_child_samples": 5},
}


def _data(n_classes):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(200, 6)).astype(np.float32).astype(np.float64)
    signal = X[:, 0] * X[:, 1] + X[:, 2]
    return X, np.digitize(signal, np.quantile(signal, [1 / 3, 2 / 3])) if n_classes else signal


def _scorer(model, X):
    exported = export(model, Features(X.shape[1], range(X.shape[1]), sparse=False))
    return load_scorer(exported.model, exported.arrays)


def _shares(scorer, row, reference, output=0):
    found = scorer.contributions(dict(enumerate(row)), dict(enumerate(reference)), output)
    return np.array([found.get(i, 0.0) for i in range(len(row))])


@pytest.mark.parametrize("algorithm", SMALL)
def test_tree_contributions_equal_the_shap_librarys(algorithm):
    """Interventional Tree SHAP against one reference row."""
    X, y = _data(0)
    model = build(algorithm, "regression", SMALL[algorithm], seed=1).fit(X, y)
    scorer, reference = _scorer(model, X), np.median(X, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = shap.TreeExplainer(
            model, data=reference[None], feature_perturbation="interventional"
        )
        theirs = explainer.shap_values(X[:20], check_additivity=False)
    ours = np.array([_shares(scorer, row, reference) for row in X[:20]])
    assert np.allclose(ours, theirs, atol=1e-5)


def test_linear_contributions_equal_the_shap_librarys():
    """Coefficient times the distance from the reference."""
    X, y = _data(3)
    model = build("logistic_regression", "classification", {}, seed=1).fit(X, y)
    reference = X.mean(axis=0)
    theirs = shap.LinearExplainer(model, reference[None]).shap_values(X[:20])
    for output in range(3):
        ours = np.array([_shares(_scorer(model, X), row, reference, output) for row in X[:20]])
        assert np.allclose(ours, theirs[..., output], atol=1e-10)


@pytest.mark.parametrize("algorithm", [*SMALL, "logistic_regression", "linear_svm", "svm"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_contributions_add_up_to_the_score_less_the_base(algorithm, n_classes):
    """For every kind of model and every class, gaps included."""
    X, y = _data(3)
    y = (y > 0).astype(int) if n_classes == 2 else y
    model = build(algorithm, "classification", SMALL.get(algorithm, {}), seed=1).fit(X, y)
    scorer, reference = _scorer(model, X), np.median(X, axis=0)
    base = scorer.scores(dict(enumerate(reference)))
    for row in X[:4]:
        scores = scorer.scores(dict(enumerate(row)))
        for output, score in enumerate(scores):
            total = _shares(scorer, row, reference, output).sum()
            assert base[output] + total == pytest.approx(score, abs=1e-9)


def test_features_equal_to_the_reference_add_nothing():
    """A typical row needs no reasons."""
    X, y = _data(0)
    model = build("random_forest", "regression", SMALL["random_forest"], seed=1).fit(X, y)
    reference = np.median(X, axis=0)
    row = reference.copy()
    row[2] += 3.0
    shares = _shares(_scorer(model, X), row, reference)
    assert shares[2] != 0.0
    assert not np.delete(shares, 2).any()


def test_a_missing_number_is_explained_as_null_not_as_nan():
    """NaN is no JSON: an answer with it would be an internal error."""
    X, y = _data(0)
    X[::5, 1] = np.nan
    model = build("xgboost", "regression", {"n_estimators": 5}, seed=1).fit(X, y)
    bundle = SimpleNamespace(model=Model("trees", "identity", 1), classes=(), reference={})
    view = SimpleNamespace(
        names=lambda: [f"c{i}" for i in range(X.shape[1])],
        transform=lambda _row: dict(enumerate(np.nanmedian(X, axis=0).tolist())),
    )
    row = np.nanmedian(X, axis=0)
    row[1] = np.nan
    explainer = Explainer(bundle, view, _scorer(model, X))
    found = explainer.explain({}, dict(enumerate(row.tolist())), 0, 50)
    json.dumps(found.to_dict(), allow_nan=False)
    assert {part.feature: part.value for part in found.contributions}["c1"] is None
