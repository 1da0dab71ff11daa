import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import make_classification, make_regression
from sklearn.dummy import DummyClassifier

from noria.bundle.exporters import EXPORTERS, FLOAT32, export
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE, pack, unpack
from noria.catalog import ALGORITHMS
from noria.errors import ModelIncompatibleError
from noria.inference.scoring import LINKS, load_scorer
from noria.training.algorithms import build

SMALL = {
    "random_forest": {"n_estimators": 12},
    "extra_trees": {"n_estimators": 12},
    "gradient_boosting": {"n_estimators": 12},
    "xgboost": {"n_estimators": 12},
    "tree_blend": {"boosting_n_estimators": 12, "extra_trees_n_estimators": 7},
}
CASES = [
    (name, task, n_classes)
    for name, entry in ALGORITHMS.items()
    for task in sorted(entry.tasks)
    for n_classes in ((2, 5) if task == "classification" else (0,))
]


def _data(task, n_classes, sparse):
    rng = np.random.default_rng(0)
    if sparse:
        X = scipy.sparse.random(300, 80, 0.06, random_state=1, format="csr")
        X.data = np.round(X.data * 4 - 1, 1)  # negative values too
        y = rng.integers(0, n_classes, 300) if n_classes else rng.normal(20, 5, 300)
        return X, y
    if n_classes:
        return make_classification(
            300, 10, n_informative=8, n_redundant=0, n_classes=n_classes, random_state=0
        )
    X, y = make_regression(300, 10, noise=5, random_state=0)
    X[::5, 2] = 0.0
    return X, 20 + y / 50


def _rows(X):
    if scipy.sparse.issparse(X):
        return [dict(zip(r.indices.tolist(), r.data.tolist(), strict=True)) for r in X]
    return [dict(enumerate(row)) for row in X.tolist()]


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize(("algorithm", "task", "n_classes"), CASES)
def test_every_offered_algorithm_scores_as_its_library_does(algorithm, task, n_classes, sparse):
    """The exported form answers like the estimator, row by row."""
    X, y = _data(task, n_classes, sparse)
    model = build(algorithm, task, SMALL.get(algorithm, {}), seed=1).fit(X, y)
    exported = export(model, X.shape[1], sparse=sparse)
    document, arrays = unpack(pack({"model": exported.model}, exported.arrays))
    scorer, link = load_scorer(document["model"], arrays), LINKS[document["model"]["link"]]
    got = np.array([link(scorer.scores(row), document["model"]) for row in _rows(X)])
    expected = model.predict_proba(X) if n_classes else model.predict(X)[:, None]
    tolerance = 1e-6 if exported.precision == FLOAT32 else 1e-12
    assert np.abs(got - expected).max() / max(1.0, np.abs(expected).max()) < tolerance


def test_missing_numbers_go_where_xgboost_sends_them():
    """NaN follows the learned default direction, zero does not."""
    X, y = _data("regression", 0, sparse=False)
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    model = build("xgboost", "regression", {"n_estimators": 20}, seed=1).fit(X, y)
    exported = export(model, X.shape[1], sparse=False)
    scorer = load_scorer(exported.model, exported.arrays)
    got = np.array([scorer.scores(row)[0] for row in _rows(X)])
    assert np.abs(got - model.predict(X)).max() / np.abs(got).max() < 1e-6


def test_an_estimator_without_exporter_is_refused_by_name():
    """A model that cannot be served is not registered."""
    with pytest.raises(ModelIncompatibleError, match="no exporter for DummyClassifier"):
        export(DummyClassifier(), 3, sparse=False)


def test_every_algorithm_has_an_exporter():
    """The spec offers nothing that cannot be served."""
    for name, entry in ALGORITHMS.items():
        for task in entry.tasks:
            assert type(build(name, task, {}, seed=0)).__name__ in EXPORTERS


def test_the_bundle_files_are_the_two_that_are_hashed():
    """Serving fetches exactly these names."""
    assert set(pack({}, {})) == {BUNDLE_FILE, ARRAYS_FILE}
