"""A champion whose ranking holds and whose probabilities do not: learned anew, judged, served."""

from functools import cache

import numpy as np
import pytest

from noria.errors import NoChampionError, TrainingFailedError
from noria.evaluation.runs import read_decision, read_evaluation
from noria.inference.loading import load_model_version
from noria.monitoring.lineage import trained_rows
from noria.registry.versions import read_manifest, verify_version
from noria.steps.recalibrate_champion import RecalibrateChampionRequest, recalibrate_champion
from tests.support.killing import cuts_of, faults_after
from tests.support.streams import Stream, as_csv, stream_spec

_METRICS = ("log_loss", "calibration_error")


class _Offers(Stream):
    """Who takes an offer; the shares may move while the ranking stays."""

    def __init__(self, algorithm="logistic_regression", **tables):
        super().__init__(
            stream_spec(algorithm, "roc_auc", _METRICS, target='positive = "yes"', **tables)
        )

    def add(self, n, *, shift, more=None):
        """Put a file; `shift` moves the log-odds of all its rows."""
        rng = np.random.default_rng(len(self.keys) + 1)
        x, z = rng.normal(size=(2, n))
        y = np.where(rng.random(n) < 1.0 / (1.0 + np.exp(-(1.5 * x + shift))), "yes", "no")
        amounts = () if more is None else (more,)
        self.put(as_csv("x,z,y" + ",a" * len(amounts), x, z, y, *amounts))


@cache
def _served(algorithm, n):
    """Return a project whose champion was trained on `n` rows; take a copy."""
    world = _Offers(algorithm)
    world.add(n, shift=0.0)
    assert world.train().outcome == "ChallengerPromoted"
    return world


def _shifted(algorithm="logistic_regression", shift=-2.0, n=1500, n_first=2000):
    world = _served(algorithm, n_first).copied()
    world.add(n, shift=shift)
    return world


@pytest.mark.parametrize("algorithm", ["logistic_regression", "lightgbm", "random_forest"])
def test_probabilities_become_true_again_and_the_ranking_stays(algorithm):
    """The same arrays, whatever the link; the golden rows verify what the bundle answers."""
    world = _shifted(algorithm)
    before = world.champion
    run = world.train(recalibrates=True)
    assert run.outcome == "ChallengerPromoted", run.summary
    old, new = (load_model_version(world.store, "stream", v) for v in (before, run.model_version))
    assert new.arrays == old.arrays
    rows = [{"x": x, "z": 0.0} for x in np.random.default_rng(9).normal(size=400).tolist()]
    ours, theirs = ([m.answer(row).probabilities["yes"] for row in rows] for m in (new, old))
    assert np.argsort(ours, kind="stable").tolist() == np.argsort(theirs, kind="stable").tolist()
    assert np.mean(theirs) == pytest.approx(0.5, abs=0.06)
    true = np.mean([1 / (1 + np.exp(2.0 - 1.5 * row["x"])) for row in rows])
    assert np.mean(ours) == pytest.approx(true, abs=0.04)
    found = read_evaluation(world.store, "stream", world.run_id)
    assert found.against_champion.metric == "log_loss"
    assert found.against_champion.low > 0.0
    assert found.primary_against_champion.improvement == pytest.approx(0.0, abs=1e-9)
    assert found.metrics["calibration_error"] < 0.08
    lineage = read_manifest(world.store, "stream", run.model_version).lineage
    assert (lineage.recalibrated_from, lineage.evaluated_as) == (before, None)


def test_probabilities_that_are_true_already_are_not_replaced():
    """The control: nothing has changed, so nothing is surely better."""
    world = _shifted(shift=0.0)
    assert world.train(recalibrates=True).outcome == "ChampionKept"
    reasons = read_decision(world.store, "stream", world.run_id).reasons
    codes = {reason.code: reason.passed for reason in reasons}
    assert not codes["improves_surely"]
    assert codes["primary_holds"]


def test_the_same_run_again_is_the_same_version():
    """Equal rows, equal bytes."""
    first, second = _shifted(), _shifted()
    versions = {world.train(recalibrates=True).model_version for world in (first, second)}
    assert len(versions) == 1


def _recalibrated(world):
    version = world.prepared("r").dataset_version
    request = RecalibrateChampionRequest("stream", "r", version)
    return recalibrate_champion(request, spec=world.spec, code={}, **vars(world.state))


def test_without_a_champion_there_is_nothing_to_recalibrate():
    """It is said, and no candidate is written."""
    world = _Offers()
    world.add(2000, shift=0.0)
    with pytest.raises(NoChampionError):
        _recalibrated(world)
    assert not [key for key in world.store.objects if "candidates" in key]


def test_rows_that_the_champion_was_trained_on_say_nothing_of_its_probabilities():
    """Too few new ones refuse; the run then trains, as its state machine does."""
    world = _shifted(n=60)
    with pytest.raises(TrainingFailedError, match="labelled rows are new to the champion; 50"):
        _recalibrated(world)
    run = world.train(recalibrates=True)
    lineage = read_manifest(world.store, "stream", run.model_version).lineage
    assert lineage.recalibrated_from is None


@pytest.mark.parametrize(
    ("table", "settings"), [("calibration", {"method": "none"}), ("split", {"kind": "random"})]
)
def test_a_project_that_cannot_judge_it_is_refused(table, settings):
    """It calibrates nothing, or has no newer rows to judge with."""
    world = _shifted()
    section = getattr(world.spec, table).model_copy(update=settings)
    world.spec = world.spec.model_copy(update={table: section})
    with pytest.raises(TrainingFailedError, match="needs calibrated classes and a split by time"):
        _recalibrated(world)


@pytest.mark.parametrize(("n", "shift"), [(120, -2.0), (120, 1.5), (600, -1.0), (1200, -1.0)])
def test_golden_rows_with_hostile_numbers_are_answered_as_the_bundle_answers(n, shift):
    """Numbers of a million give probabilities of 0 and 1, which tell no scores."""
    world = _shifted(n=n, shift=shift)
    assert world.train(recalibrates=True).model_version  # the bundle was verified on the way


def test_a_recalibrated_version_remembers_what_the_first_champion_was_trained_on():
    """Rows of the first training are not new, though the newer version's dataset may lack them."""
    world = _shifted()
    first = world.champion
    recalibrated = world.train(recalibrates=True).model_version
    old, both = (trained_rows(world.store, "stream", v) for v in (first, recalibrated))
    assert len(both) > len(old)
    assert both[-len(old) :] == old


def test_bands_of_worth_follow_the_new_probabilities():
    """Their edges are quantiles of probability x amount; by the old ones 9 of 10 would be low."""
    world = _Offers(
        dataset__columns='a = { type = "number" }',
        postprocess='kind = "business_value"\namount = "a"',
    )
    for shift in (0.0, -2.0):
        world.add(2000, shift=shift, more=100 + np.arange(2000) % 50)
        run = world.train(recalibrates=shift < 0)
        assert run.outcome == "ChallengerPromoted", run.summary
    found = load_model_version(world.store, "stream", run.model_version)
    rows = [{"x": x, "z": 0.0, "a": 120.0} for x in np.random.default_rng(3).normal(size=600)]
    bands = [found.answer({**row, "x": float(row["x"])}).added["band"] for row in rows]
    assert min(bands.count(band) for band in set(bands)) > 0.2 * len(bands)
    assert len(set(bands)) == 3


def _holds(world, expected):
    """Return what must hold after any death, and after the run was started again."""

    def check(state, again):
        for version in state.artifacts.objects:
            if version.startswith("models/") and version.endswith("manifest.json"):
                verify_version(state.artifacts, "stream", version.split("/")[2])
        if again is not None:
            assert (again.outcome, again.model_version) == (
                expected.outcome,
                expected.model_version,
            )
            assert state.aliases.read("stream").champion == expected.model_version
            assert state.aliases.read("stream").revision == 2

    return check


def _faults(world, **where):
    """Return the faults of a recalibration that dies and is started again, and the cuts."""

    def start(state):
        return world.train(state, recalibrates=True)

    expected = start(world.state.copied())
    assert expected.outcome == "ChallengerPromoted"
    cuts = cuts_of(world.state.copied(), start)
    return faults_after(cuts, start, _holds(world, expected), **where), cuts


def test_a_recalibration_killed_at_any_call_and_started_again_ends_as_if_never_killed():
    """Its own promotion must not become what it recalibrates."""
    faults, cuts = _faults(_shifted(n=400, n_first=500))
    assert not faults
    assert sum(write.startswith("aliases.apply") for write in cuts.writes) == 1
    assert len(cuts.writes) >= 20


def test_a_recalibration_that_forgets_what_it_did_would_be_found(monkeypatch):
    """Control: after its promotion no row is new to the champion, and it trains instead."""
    monkeypatch.setattr("noria.steps.recalibrate_champion._done", lambda *_: None)
    faults, _ = _faults(_shifted(n=400, n_first=500), last=2)
    assert any("aliases.apply" in cut for cut in faults)
