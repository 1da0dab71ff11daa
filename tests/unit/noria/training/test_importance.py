"""What models lean on."""

from types import SimpleNamespace

import numpy as np
import pytest

from noria.records.bundle import Decision
from noria.spec.model import CandidateSection
from noria.training.estimators import fit
from noria.training.importance import own_importances, shuffled_columns

NAMES = ["useful", "useless", "constant"]


def _data():
    rng = np.random.default_rng(5)
    X = np.column_stack([rng.normal(size=(300, 2)), np.ones(300)])
    return X, (X[:, 0] > 0).astype(int)


@pytest.mark.parametrize(
    ("algorithm", "kinds"),
    [
        ("xgboost", {"gain", "weight", "cover"}),
        ("lightgbm", {"gain", "weight"}),
        ("random_forest", {"gain"}),
        ("gradient_boosting", {"gain"}),
        ("logistic_regression", set()),
    ],
)
def test_trees_say_what_they_split_by(algorithm, kinds):
    """The feature that decides comes first by what it gains; one that is never used is not there."""
    candidate = CandidateSection(name="one", algorithm=algorithm)
    params = {} if algorithm == "logistic_regression" else {"n_estimators": 20}
    model = fit(candidate, "classification", params, _data(), seed=0)
    found = own_importances(model.estimator, NAMES)
    assert set(found) == kinds
    if kinds:
        assert next(iter(found["gain"])) == "useful"
        assert all(values.get("constant") is None for values in found.values())


class _Model:
    """Answers by one column."""

    classes = ("no", "yes")
    decision = Decision((1.0, 1.0))

    def __init__(self):
        self.n_scores = 0

    def score(self, row):
        self.n_scores += 1
        share = 0.9 if row["useful"] > 0 else 0.1
        return [1.0 - share, share]


def _rows(n):
    rng = np.random.default_rng(6)
    rows = [{"useful": float(a), "useless": float(b)} for a, b in rng.normal(size=(n, 2))]
    return rows, np.array([int(row["useful"] > 0) for row in rows])


def test_a_column_is_worth_what_is_lost_when_it_is_shuffled():
    """Half of the accuracy of a model that decides by it alone; nothing of any other column."""
    rows, truth = _rows(1000)
    lost = shuffled_columns(_Model(), rows, truth, "accuracy", ["useless", "useful"])
    assert list(lost) == ["useful", "useless"]
    assert lost["useful"] == pytest.approx(0.5, abs=0.06)
    assert lost["useless"] == 0.0


def test_an_error_gets_worse_by_growing():
    """Of a regression; the sign is that of the metric."""
    rows, _ = _rows(100)
    model = SimpleNamespace(classes=(), score=lambda row: [row["useful"]])
    truth = np.array([row["useful"] for row in rows])
    assert shuffled_columns(model, rows, truth, "rmse", ["useful"])["useful"] > 0.5


def test_many_columns_are_shuffled_among_fewer_rows_and_very_many_in_part(monkeypatch):
    """Seconds, whatever the table; and never of so few rows that they say nothing."""
    rows, truth = _rows(500)
    for n_columns, n_shown in ((10, 10), (400, 111)):
        model, columns = _Model(), ["useful", *(f"c{n}" for n in range(n_columns - 1))]
        lost = shuffled_columns(model, rows, truth, "accuracy", columns)
        assert len(lost) == n_shown
        assert lost["useful"] > 0.3
        assert model.n_scores <= 20_000 + 300


def test_few_rows_say_nothing_and_a_rare_class_is_among_the_rows():
    """A ranking of one class only would say that no column is needed."""
    rows, truth = _rows(50)
    assert shuffled_columns(_Model(), rows, truth, "accuracy", ["useful"]) == {}
    rows, _ = _rows(3000)
    for row in rows:
        row["useful"] = -1.0
    for row in rows[::600]:
        row["useful"] = 1.0
    truth = np.array([int(row["useful"] > 0) for row in rows])
    assert shuffled_columns(_Model(), rows, truth, "roc_auc", ["useful"])["useful"] > 0.3
