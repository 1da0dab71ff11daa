from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse

from noria.bundle.exporters import export
from noria.columnar import scoring
from noria.columnar.kernel import SparseRows, TreeKernel
from noria.errors import ModelCorruptError
from noria.records.bundle import Calibration
from noria.training.algorithms import build
from tests.support.models import CASES, SHIFTS, SMALL, as_rows, loaded, make_data, whole_view


def _case(algorithm, task, n_classes, sparse):
    X, y = make_data(task, n_classes, sparse)
    model = build(algorithm, task, SMALL.get(algorithm, {}), seed=1).fit(X, y)
    exported = export(model, whole_view(X))
    scorer, link = loaded(exported, n_classes)
    predictor = SimpleNamespace(
        model=exported.model,
        arrays=exported.arrays,
        scorer=scorer,
        view=SimpleNamespace(width=X.shape[1]),
    )
    rows = X
    if scipy.sparse.issparse(X):
        rows = SparseRows(X.indptr.astype(np.int64), X.indices, X.data, X.shape[1])
    return X, predictor, rows, link


@pytest.mark.parametrize("is_built", [True, False], ids=["kernel", "without"])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize(("algorithm", "task", "n_classes"), CASES)
def test_many_rows_score_as_each_alone(algorithm, task, n_classes, sparse, is_built, monkeypatch):
    """The kernel, numpy, and the row path give one number."""
    monkeypatch.setattr(TreeKernel, "is_built", staticmethod(lambda: is_built))
    X, predictor, rows, _ = _case(algorithm, task, n_classes, sparse)
    expected = np.array([predictor.scorer.scores(row) for row in as_rows(X)])
    got = scoring.batch_scorer(predictor)(rows)
    assert np.abs(got - expected).max() / max(1.0, np.abs(expected).max()) < 1e-12


@pytest.mark.parametrize("n_classes", [2, 5])
def test_links_are_those_of_the_row_path(n_classes):
    """Softmax and shares, calibration included."""
    for algorithm in ("logistic_regression", "random_forest"):
        X, predictor, rows, link = _case(algorithm, "classification", n_classes, sparse=False)
        model = predictor.model._replace(calibration=Calibration(1.7, SHIFTS[:n_classes]))
        got = scoring.BATCH_LINKS[model.link](scoring.batch_scorer(predictor)(rows), model)
        expected = [link(predictor.scorer.scores(row)) for row in as_rows(X)]
        assert np.abs(got - np.array(expected)).max() < 1e-12


def test_missing_numbers_go_where_the_row_path_sends_them():
    """NaN at every node, present and absent."""
    X, predictor, _, _ = _case("xgboost", "regression", 0, sparse=False)
    X = np.where(np.random.default_rng(2).random(X.shape) < 0.3, np.nan, X)
    expected = np.array([predictor.scorer.scores(row) for row in as_rows(X)])
    assert np.allclose(scoring.batch_scorer(predictor)(X), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("table", "place", "value"),
    [("right", 0, 10**6), ("right", 0, 0), ("feature", 0, 99), ("roots", 0, -1),
     ("outputs", 0, 7), ("absent_leaf", 0, 10**6)],
)  # fmt: skip
def test_a_table_that_leads_outside_itself_is_refused(table, place, value):
    """C would follow it: out of the arrays, or round and round."""
    _, predictor, _, _ = _case("random_forest", "regression", 0, sparse=False)
    arrays = {name: values[:] for name, values in predictor.arrays.items()}
    arrays[table][place] = value
    with pytest.raises(ModelCorruptError, match="outside"):
        TreeKernel(predictor.model, arrays, predictor.view.width)


def test_the_kernel_is_built_where_tests_run():
    """Set-up compiles it: without it, the tests above would compare the row path with itself."""
    assert TreeKernel.is_built()
