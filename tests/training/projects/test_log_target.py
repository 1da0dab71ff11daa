"""A regression whose target's logarithm is fitted: everything people see is in its unit."""

import csv
import io

import numpy as np
import pyarrow as pa
import pytest

from noria.columnar.engine import BatchPredictor
from noria.errors import InvalidInputError, TrainingFailedError
from noria.evaluation.runs import read_evaluation
from noria.inference.loading import load_model_version
from noria.spec.loader import parse_spec
from noria.training.cross_validation import CrossValidation, Fold
from tests.support.fakes import FixedClock, MemoryAliases, MemoryArtifacts
from tests.support.pipeline import run_training
from tests.support.production import START

_SPEC = """
[project]
name = "prices"
task = "regression"
description = "prices that grow by factors"
[dataset.columns]
rooms = {{ type = "number" }}
age = {{ type = "number" }}
[target]
column = "price"
min = 1
transform = "{transform}"
[split]
kind = "random"
[[features]]
name = "numbers"
kind = "numeric"
columns = ["rooms", "age"]
scale = "standard"
[[candidates]]
name = "linear"
algorithm = "{algorithm}"
[evaluation]
primary_metric = "rmse"
metrics = ["rmse", "mae", "mape"]
folds = 3
bootstrap_replicates = 300
"""


def _prices(n=900):
    rng = np.random.default_rng(5)
    rooms, age = rng.uniform(1, 8, n), rng.uniform(0, 80, n)
    price = 20_000 * np.exp(0.5 * rooms - 0.01 * age + 0.1 * rng.normal(size=n))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["rooms", "age", "price"])
    writer.writerows(zip(rooms.tolist(), age.tolist(), price.tolist(), strict=True))
    return out.getvalue().encode()


def _trained(transform, algorithm="ridge"):
    store, aliases = MemoryArtifacts(), MemoryAliases()
    store.put("inbox/prices/a.csv", _prices())
    spec = parse_spec(_SPEC.format(transform=transform, algorithm=algorithm), source="prices.toml")
    run = run_training(
        spec, "inbox/prices/a.csv", "r", artifacts=store, aliases=aliases, clock=FixedClock(START)
    )
    assert run.outcome == "ChallengerPromoted"
    predictor = load_model_version(store, "prices", str(run.model_version))
    return predictor, read_evaluation(store, "prices", "r").metrics


def test_a_linear_model_of_the_logarithm_predicts_prices_in_their_unit():
    """Against the control, which fits the prices themselves: a third of its error."""
    plain, logarithm = _trained("none"), _trained("log")
    assert logarithm[1]["rmse"] < plain[1]["rmse"] / 3
    assert logarithm[1]["mape"] < 0.12
    row = {"rooms": 4.0, "age": 10.0}
    price = 20_000 * np.exp(2.0 - 0.1)
    assert logarithm[0].answer(row).prediction == pytest.approx(price, rel=0.03)
    assert logarithm[0].explainer.scale == "logarithm of the target"


@pytest.mark.parametrize("algorithm", ["ridge", "lightgbm", "random_forest"])
def test_files_are_scored_as_single_rows_are(algorithm):
    """The columnar path has the same link."""
    predictor, _ = _trained("log", algorithm)
    rows = [{"rooms": 1.0 + i / 10, "age": float(i)} for i in range(60)]
    cells = {name: pa.array([repr(row[name]) for row in rows]) for name in ("rooms", "age")}
    table = BatchPredictor(predictor).answer(cells, len(rows)).outputs[:, 0].tolist()
    alone = [predictor.answer(row).prediction for row in rows]
    assert table == pytest.approx(alone, rel=1e-12)


def test_what_is_too_large_for_a_number_is_refused():
    """An exponential grows fast; infinity is no price."""
    predictor, _ = _trained("log")
    with pytest.raises(InvalidInputError) as caught:
        predictor.answer({"rooms": 1e6, "age": 1.0})
    assert "too large to score" in str(caught.value.details)


def test_a_candidate_that_predicts_infinity_has_failed():
    """One row with a million rooms: an exponential of it is no number, and no score."""
    spec = parse_spec(_SPEC.format(transform="log", algorithm="ridge"), source="prices.toml")
    rooms = np.linspace(1.0, 8.0, 50).reshape(-1, 1)
    later = np.array([[4.0], [1e6]])
    fold = Fold(rooms, np.exp(rooms[:, 0]), later, np.array([50.0, 60.0]))
    validation = CrossValidation(spec, spec.candidates[0], [fold], ())
    with pytest.raises(TrainingFailedError, match="predicts no finite number"):
        validation.evaluate({}, lambda *_: False)
