"""A champion whose ranking holds and whose probabilities do not: learned anew, judged, served."""

import csv
import io

import numpy as np
import pytest

from noria.errors import NoChampionError, TrainingFailedError
from noria.evaluation.runs import read_decision, read_evaluation
from noria.inference.loading import load_model_version
from noria.monitoring.lineage import trained_rows
from noria.registry.versions import read_manifest
from noria.spec.loader import parse_spec
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.steps.recalibrate_champion import RecalibrateChampionRequest, recalibrate_champion
from tests.support.fakes import FixedClock, MemoryAliases, MemoryArtifacts
from tests.support.pipeline import run_training
from tests.support.production import START

_SPEC = """
[project]
name = "offers"
task = "classification"
description = "who takes an offer"
[dataset]
in_time_order = true
[dataset.columns]
x = {{ type = "number" }}
z = {{ type = "number" }}
[target]
column = "y"
positive = "yes"
[split]
kind = "time"
[calibration]
method = "{method}"
[[features]]
name = "numbers"
kind = "numeric"
columns = ["x", "z"]
[[candidates]]
name = "{algorithm}"
algorithm = "{algorithm}"
[evaluation]
primary_metric = "roc_auc"
metrics = ["roc_auc", "log_loss", "calibration_error"]
folds = 3
bootstrap_replicates = 500
"""


def _file(n, *, shift, seed):
    """Return rows; `shift` moves the log-odds of all: the ranking stays, the shares do not."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    is_yes = rng.random(n) < 1.0 / (1.0 + np.exp(-(1.5 * x + shift)))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["x", "z", "y"])
    writer.writerows(
        zip(x.tolist(), z.tolist(), np.where(is_yes, "yes", "no").tolist(), strict=True)
    )
    return out.getvalue().encode()


class _World:
    def __init__(self, method="sigmoid", algorithm="logistic_regression"):
        text = _SPEC.format(method=method, algorithm=algorithm)
        self.spec = parse_spec(text, source="offers.toml")
        self.here = {"artifacts": MemoryArtifacts(), "aliases": MemoryAliases()}
        self.keys = []

    def add(self, n, *, shift):
        self.keys.append(f"inbox/offers/{len(self.keys)}/p{len(self.keys)}.csv")
        self.here["artifacts"].put(self.keys[-1], _file(n, shift=shift, seed=len(self.keys)))

    def train(self, **how):
        run_id = f"run-{len(self.keys)}"
        run = run_training(
            self.spec, self.keys, run_id, clock=FixedClock(START), **how, **self.here
        )
        return run, run_id


def _shifted(algorithm="logistic_regression", shift=-2.0):
    world = _World(algorithm=algorithm)
    world.add(2000, shift=0.0)
    assert world.train()[0].outcome == "ChallengerPromoted"
    world.add(1500, shift=shift)
    return world


@pytest.mark.parametrize("algorithm", ["logistic_regression", "lightgbm", "random_forest"])
def test_probabilities_become_true_again_and_the_ranking_stays(algorithm):
    """The same arrays, whatever the link; the golden rows verify what the bundle answers."""
    world = _shifted(algorithm)
    before = world.here["aliases"].read("offers").champion
    run, run_id = world.train(recalibrates=True)
    assert run.outcome == "ChallengerPromoted", run.summary
    store = world.here["artifacts"]
    old, new = (
        load_model_version(store, "offers", version) for version in (before, run.model_version)
    )
    assert new.arrays == old.arrays
    rows = [{"x": x, "z": 0.0} for x in np.random.default_rng(9).normal(size=400).tolist()]
    ours, theirs = ([m.answer(row).probabilities["yes"] for row in rows] for m in (new, old))
    assert np.argsort(ours, kind="stable").tolist() == np.argsort(theirs, kind="stable").tolist()
    assert np.mean(theirs) == pytest.approx(0.5, abs=0.06)
    true = np.mean([1 / (1 + np.exp(2.0 - 1.5 * row["x"])) for row in rows])
    assert np.mean(ours) == pytest.approx(true, abs=0.04)
    found = read_evaluation(store, "offers", run_id)
    assert found.against_champion.metric == "log_loss"
    assert found.against_champion.low > 0.0
    assert found.primary_against_champion.improvement == pytest.approx(0.0, abs=1e-9)
    assert found.metrics["calibration_error"] < 0.08
    lineage = read_manifest(store, "offers", run.model_version).lineage
    assert (lineage.recalibrated_from, lineage.evaluated_as) == (before, None)


def test_probabilities_that_are_true_already_are_not_replaced():
    """The control: nothing has changed, so nothing is surely better."""
    world = _shifted(shift=0.0)
    run, run_id = world.train(recalibrates=True)
    assert run.outcome == "ChampionKept"
    reasons = read_decision(world.here["artifacts"], "offers", run_id).reasons
    codes = {reason.code: reason.passed for reason in reasons}
    assert not codes["improves_surely"]
    assert codes["primary_holds"]


def test_the_same_run_again_is_the_same_version():
    """Equal rows, equal bytes."""
    first, second = _shifted(), _shifted()
    versions = {world.train(recalibrates=True)[0].model_version for world in (first, second)}
    assert len(versions) == 1


def _recalibrated(world):
    prepared = prepare_dataset(
        PrepareDatasetRequest("offers", "r", tuple(world.keys)), spec=world.spec, **world.here
    )
    request = RecalibrateChampionRequest("offers", "r", prepared.dataset_version)
    return recalibrate_champion(request, spec=world.spec, code={}, **world.here)


def test_without_a_champion_there_is_nothing_to_recalibrate():
    """It is said, and no candidate is written."""
    world = _World()
    world.add(2000, shift=0.0)
    with pytest.raises(NoChampionError):
        _recalibrated(world)
    assert not [key for key in world.here["artifacts"].objects if "candidates" in key]


def test_rows_that_the_champion_was_trained_on_say_nothing_of_its_probabilities():
    """Too few new ones refuse; the run then trains, as its state machine does."""
    world = _World()
    world.add(2000, shift=0.0)
    world.train()
    world.add(60, shift=-2.0)
    with pytest.raises(TrainingFailedError, match="labelled rows are new to the champion; 50"):
        _recalibrated(world)
    run, _ = world.train(recalibrates=True)
    lineage = read_manifest(world.here["artifacts"], "offers", run.model_version).lineage
    assert lineage.recalibrated_from is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('method = "sigmoid"', 'method = "none"', "no calibrated probabilities"),
        ('kind = "time"', 'kind = "stratified"', "without a split by time, old rows would judge"),
    ],
)
def test_a_project_that_cannot_judge_it_is_refused(old, new, said):
    """It calibrates nothing, or has no newer rows to judge with."""
    world = _shifted()
    text = _SPEC.format(method="sigmoid", algorithm="logistic_regression").replace(old, new)
    if "stratified" in new:
        text = text.replace("in_time_order = true", "")
    world.spec = parse_spec(text, source="offers.toml")
    with pytest.raises(TrainingFailedError, match=said):
        _recalibrated(world)


@pytest.mark.parametrize(("n", "shift"), [(120, -2.0), (120, 1.5), (600, -1.0), (1200, -1.0)])
def test_golden_rows_with_hostile_numbers_are_answered_as_the_bundle_answers(n, shift):
    """Numbers of a million give probabilities of 0 and 1, which tell no scores."""
    world = _World()
    world.add(2000, shift=0.0)
    world.train()
    world.add(n, shift=shift)
    assert world.train(recalibrates=True)[0].outcome in ("ChallengerPromoted", "ChampionKept",
                                                         "ChallengerRefused")  # fmt: skip


def test_a_second_recalibration_remembers_what_the_first_champion_was_trained_on():
    """Rows of the first training are not new, though the newer version's dataset lacks them."""
    world = _shifted()
    first = world.here["aliases"].read("offers").champion
    recalibrated = world.train(recalibrates=True)[0].model_version
    store = world.here["artifacts"]
    seen = trained_rows(store, "offers", recalibrated)
    assert len(seen) > len(trained_rows(store, "offers", first))
    lineage = read_manifest(store, "offers", recalibrated).lineage
    assert lineage.recalibrated_from == first


def test_bands_of_worth_follow_the_new_probabilities():
    """Their edges are quantiles of probability x amount."""
    world = _World()
    text = _SPEC.format(method="sigmoid", algorithm="logistic_regression")
    world.spec = parse_spec(
        text.replace("[[features]]", """[postprocess]
kind = "business_value"
amount = "a"
[[features]]""", 1).replace(
            'z = { type = "number" }', 'z = { type = "number" }\na = { type = "number" }'
        ),
        source="offers.toml",
    )  # fmt: skip
    for shift in (0.0, -2.0):
        world.add(2000, shift=shift)
        body = world.here["artifacts"].get(world.keys[-1]).decode().splitlines()
        rows = [f"{line},{'a' if n == 0 else 100 + n % 50}" for n, line in enumerate(body)]
        world.here["artifacts"].put(world.keys[-1], "\n".join(rows).encode())
        run, _ = world.train(recalibrates=shift < 0)
        assert run.outcome == "ChallengerPromoted", run.summary
    store = world.here["artifacts"]
    found = load_model_version(store, "offers", run.model_version)
    rng = np.random.default_rng(3)
    bands = [
        found.answer({"x": x, "z": 0.0, "a": 120.0}).added["band"]
        for x in rng.normal(size=600).tolist()
    ]
    shares = [bands.count(band) / len(bands) for band in sorted(set(bands))]
    assert min(shares) > 0.2
