"""Tables that lead outside themselves or in a circle are refused before a row meets them."""

from array import array
from random import Random

import pytest

from noria.bundle.exporters import export
from noria.errors import ModelCorruptError
from noria.inference.scoring.loading import load_scorer
from noria.training.algorithms import build
from tests.support.models import SMALL, as_rows, make_data, whole_view

CASES = [
    ("logistic_regression", 5, False), ("logistic_regression", 2, True), ("svm", 3, False),
    ("random_forest", 5, True), ("random_forest", 2, False), ("xgboost", 5, True),
    ("gradient_boosting", 2, False), ("lightgbm", 5, False),
]  # fmt: skip
_CHANGES, _ROWS = 400, 12


class _CircleError(Exception):
    """A walk that does not end."""


class _Counted:
    """A table that ends a walk of more steps than there are nodes and trees."""

    def __init__(self, table, limit):
        self._table, self._limit, self._left = table, limit, limit

    def __len__(self):
        return len(self._table)

    def __getitem__(self, place):
        self._left -= 1
        if self._left < 0:
            raise _CircleError
        if place < 0:  # Python would count from the end
            raise IndexError(place)
        return self._table[place]


def _changed(arrays, rng):
    """Return the arrays with one number of a random one of them replaced, or cut off, or added."""
    name = rng.choice([name for name, table in arrays.items() if len(table)])
    table = array(arrays[name].typecode, arrays[name])
    place = rng.randrange(len(table))
    how = rng.choice(["change", "change", "change", "cut", "add"])
    if how == "cut":
        table.pop()
    elif how == "add":
        table.append(table[place])
    elif table.typecode in "iB":
        high = 2 * max(table) + 2
        table[place] = rng.randrange(-2 if table.typecode == "i" else 0, min(high, 250))
    return {**arrays, name: table}


def _walks_well(scorer, rows):
    if hasattr(scorer, "_feature"):
        scorer._feature = _Counted(scorer._feature, _ROWS * 20 * len(scorer._right))
    try:
        return all(len(scorer.scores(row)) == len(scorer.scores({})) for row in rows)
    except (_CircleError, LookupError, ValueError, TypeError, RuntimeError):
        return False


@pytest.mark.parametrize(("algorithm", "n_classes", "sparse"), CASES)
def test_what_passes_the_check_answers_every_row(algorithm, n_classes, sparse):
    """400 single changes each; some are harmless, and of those refused some really are not."""
    X, y = make_data("classification", n_classes, sparse)
    model = build(algorithm, "classification", SMALL.get(algorithm, {}), seed=1).fit(X, y)
    exported = export(model, whole_view(X))
    width, rows, rng = X.shape[1], as_rows(X)[:_ROWS], Random(0)
    load_scorer(exported.model, exported.arrays).check(width)
    n_passed = n_refused = n_harmful = 0
    for _ in range(_CHANGES):
        arrays = _changed(exported.arrays, rng)
        try:
            scorer = load_scorer(exported.model, arrays)
        except (LookupError, ValueError, TypeError):  # the predictor refuses it
            continue
        try:
            scorer.check(width)
        except ModelCorruptError:
            n_refused += 1
            n_harmful += not _walks_well(scorer, rows)
        else:
            n_passed += 1
            assert _walks_well(scorer, rows)
    assert min(n_passed, n_refused, n_harmful) > 0, (n_passed, n_refused, n_harmful)
