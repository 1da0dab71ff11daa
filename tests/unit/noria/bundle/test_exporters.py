import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from noria.bundle.exported import FLOAT32, Features
from noria.bundle.exporters import EXPORTERS, export
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE, pack
from noria.errors import ModelIncompatibleError
from noria.inference.scoring.loading import load_scorer
from noria.spec.algorithms import ALGORITHMS
from noria.training.algorithms import build
from noria.training.calibration import Calibration
from noria.training.estimators import FittedModel, raw_scores
from tests.support.models import CASES, SHIFTS, SMALL, as_rows, loaded, make_data, whole_view


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize(("algorithm", "task", "n_classes"), CASES)
def test_every_offered_algorithm_scores_as_its_library_does(algorithm, task, n_classes, sparse):
    """The exported form answers like the estimator, row by row, calibration included."""
    X, y = make_data(task, n_classes, sparse)
    model = build(algorithm, task, SMALL.get(algorithm, {}), seed=1).fit(X, y)
    exported = export(model, whole_view(X))
    scorer, link = loaded(exported, n_classes)
    got = np.array([link(scorer.scores(row)) for row in as_rows(X)])
    fitted = FittedModel(model, np.arange(n_classes) if n_classes else None)
    expected = raw_scores(fitted, X, n_classes)
    if n_classes:
        expected = Calibration(1.7, SHIFTS[:n_classes]).probabilities(expected)
    tolerance = 1e-6 if exported.precision == FLOAT32 else 1e-10
    assert np.abs(got - expected).max() / max(1.0, np.abs(expected).max()) < tolerance


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_both_kernels_decide_as_the_support_vector_machine(kernel, n_classes):
    """Pairs of classes vote and their margins break ties."""
    X, y = make_data("classification", n_classes, sparse=False)
    model = build("svm", "classification", {"kernel": kernel, "C": 0.5}, seed=1).fit(X, y)
    exported = export(model, whole_view(X))
    scorer = load_scorer(exported.model, exported.arrays)
    got = np.array([scorer.scores(row) for row in as_rows(X)])
    expected = model.decision_function(X).reshape(len(y), -1)
    assert np.abs(got - expected).max() < 1e-10


@pytest.mark.parametrize("algorithm", ["ridge", "random_forest", "xgboost", "lightgbm"])
def test_a_model_of_selected_columns_reads_the_whole_view(algorithm):
    """Columns that were left out change nothing."""
    X, y = make_data("regression", 0, sparse=False)
    kept = [1, 4, 7]
    params = SMALL.get(algorithm, {})
    model = build(algorithm, "regression", params, seed=1).fit(X[:, kept], y)
    exported = export(model, Features(X.shape[1], kept, sparse=False))
    scorer = load_scorer(exported.model, exported.arrays)
    got = np.array([scorer.scores(row)[0] for row in as_rows(X)])
    expected = raw_scores(FittedModel(model, None), X[:, kept], 0)[:, 0]
    assert np.abs(got - expected).max() / np.abs(got).max() < 1e-6


@pytest.mark.parametrize("algorithm", ["xgboost", "lightgbm"])
def test_missing_numbers_go_where_boosting_sends_them(algorithm):
    """NaN follows the learned default direction, zero does not."""
    X, y = make_data("regression", 0, sparse=False)
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    model = build(algorithm, "regression", {"n_estimators": 20}, seed=1).fit(X, y)
    exported = export(model, whole_view(X))
    scorer = load_scorer(exported.model, exported.arrays)
    got = np.array([scorer.scores(row)[0] for row in as_rows(X)])
    expected = raw_scores(FittedModel(model, None), X, 0)[:, 0]
    assert np.abs(got - expected).max() / np.abs(got).max() < 1e-6


def test_an_estimator_without_exporter_is_refused_by_name():
    """A model that cannot be served is not registered."""
    with pytest.raises(ModelIncompatibleError, match="no exporter for DummyClassifier"):
        export(DummyClassifier(), Features(3, range(3), sparse=False))


def test_every_algorithm_has_an_exporter():
    """The spec offers nothing that cannot be served."""
    for name, entry in ALGORITHMS.items():
        for task in entry.tasks:
            assert type(build(name, task, {}, seed=0)).__name__ in EXPORTERS


def test_the_bundle_files_are_the_two_that_are_hashed():
    """Serving fetches exactly these names."""
    assert set(pack({}, {})) == {BUNDLE_FILE, ARRAYS_FILE}
