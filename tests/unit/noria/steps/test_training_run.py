"""The steps of `training.asl.json` in its order, on in-memory ports."""

import gzip
import json

import pytest

from cli.samples.files import sample_files
from noria.errors import ModelVersionConflictError, SettingsError, StoreUnavailableError
from noria.registry.versions import verify_version
from noria.storage.keys import TEST, model_key
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock
from tests.support.pipeline import run_training
from tests.support.rows import ticket_csv
from tests.support.specs import quick_tickets


class _Killed(BaseException):
    """The process is gone."""


class _Killer:
    """Counts writes of both ports and dies at the n-th, before or after it took place."""

    def __init__(self):
        self.n_writes, self.at, self.lands = 0, -1, False

    def around(self, write, *arguments, **settings):
        self.n_writes += 1
        if self.n_writes != self.at:
            return write(*arguments, **settings)
        if self.lands:
            write(*arguments, **settings)
        raise _Killed


class _Artifacts(MemoryArtifacts):
    def __init__(self, killer):
        super().__init__()
        self.killer = killer

    def put(self, key, body, *, if_absent=False):
        return self.killer.around(super().put, key, body, if_absent=if_absent)


class _Aliases(MemoryAliases):
    def __init__(self, killer):
        super().__init__()
        self.killer = killer

    def promote(self, promotion):
        return self.killer.around(super().promote, promotion)


class _World:
    def __init__(self, n_candidates=2):
        self.killer = _Killer()
        self.artifacts, self.aliases = _Artifacts(self.killer), _Aliases(self.killer)
        self.clock, spec = SteppingClock(), quick_tickets()
        self.spec = spec.model_copy(update={"candidates": spec.candidates[:n_candidates]})

    def train(self, run_id="run", body=None, packages=None, **settings):
        key = f"inbox/{run_id}.csv"
        self.artifacts.objects[key] = (
            ticket_csv(**{"n_rows": 300, **settings}) if body is None else body
        )
        return run_training(
            self.spec, key, run_id,
            artifacts=self.artifacts, aliases=self.aliases, clock=self.clock, packages=packages,
        )  # fmt: skip

    def versions(self):
        keys = [key for key in self.artifacts.objects if key.startswith("models/")]
        return {key.split("/")[2] for key in keys if key.endswith("manifest.json")}


def test_the_first_good_model_becomes_champion_with_its_lineage():
    """Everything needed to explain it is in the manifest."""
    world = _World()
    run = world.train()
    assert run.outcome == "ChallengerPromoted"
    assert world.aliases.read("quick").champion == run.model_version
    lineage = verify_version(world.artifacts, "quick", run.model_version).lineage
    assert lineage.run_id == "run"
    assert lineage.parent_champion is None
    assert {"dataset_version", "spec_sha256", "code", "execution_id"} <= set(lineage)


class _Packages:
    """Another registry, which may be out of order."""

    def __init__(self, fault=None):
        self.got, self._fault = [], fault

    def mirror(self, project, model_version, status, properties):
        if self._fault:
            raise self._fault
        self.got.append((project, model_version, status, properties))


def test_another_registry_gets_each_version_with_what_the_gate_says():
    """Approved, or to be approved by a person where the rollout asks; an equal one is not."""
    world, packages = _World(n_candidates=1), _Packages()
    first = world.train("run1", packages=packages)
    second = world.train("run2", packages=packages)
    assert [got[:3] for got in packages.got] == [
        ("quick", first.model_version, "Approved"),
        ("quick", second.model_version, "Rejected"),
    ]
    properties = packages.got[0][3]
    assert (properties["backend"], properties["decision"]) == ("lambda", "promote")
    assert float(properties["metric.f1_weighted"]) > 0.6
    asking = world.spec.rollout.model_copy(update={"approval": "required"})
    world = _World(n_candidates=1)
    world.spec = world.spec.model_copy(update={"rollout": asking})
    world.train(packages=packages)
    assert packages.got[-1][2] == "PendingManualApproval"


@pytest.mark.parametrize("fault", [StoreUnavailableError("down"), SettingsError("no right")])
def test_another_registry_that_fails_costs_no_model(fault):
    """The version is registered and promoted all the same."""
    world = _World(n_candidates=1)
    assert world.train(packages=_Packages(fault)).outcome == "ChallengerPromoted"


def test_unchanged_data_keep_the_champion_and_train_the_same_bundle():
    """Equal spec, data and seed give equal bytes; an equal model is no improvement."""
    world = _World()
    first, second = world.train("run1"), world.train("run2")
    assert second.outcome == "ChampionKept"
    assert "[+0.0000, +0.0000]" in second.summary
    assert first.model_version.rpartition("-")[2] == second.model_version.rpartition("-")[2]
    assert world.aliases.read("quick").champion == first.model_version


def test_shuffled_labels_are_refused_by_the_gate():
    """With a champion and without one."""
    world = _World()
    assert world.train("bad", n_rows=600, shuffle_labels=True).outcome == "ChallengerRefused"
    assert world.aliases.read("quick").champion is None
    good = world.train("good")
    run = world.train("worse", n_rows=600, seed=9, shuffle_labels=True)
    assert run.outcome == "ChallengerRefused"
    assert world.aliases.read("quick").champion == good.model_version


def test_an_honest_improvement_is_promoted():
    """Better labels make a better model, and the interval shows it."""
    world = _World()
    weak = world.train("weak", n_rows=160, noise=0.25)
    strong = world.train("strong", n_rows=1500, seed=2, noise=0.0)
    assert (weak.outcome, strong.outcome) == ("ChallengerPromoted", "ChallengerPromoted")
    record = world.aliases.read("quick")
    assert (record.champion, record.previous_champion) == (strong.model_version, weak.model_version)


def test_rows_the_champion_was_trained_on_do_not_judge_it():
    """Its own training rows would flatter it."""
    world = _World()
    world.train("first", n_rows=300, seed=1)
    world.spec = world.spec.model_copy(
        update={"split": world.spec.split.model_copy(update={"seed": 7})}
    )
    world.train("second", n_rows=300, seed=1)
    evaluation = json.loads(world.artifacts.get("runs/quick/second/evaluation.json"))
    assert evaluation["n_test"] > evaluation["n_unseen"]
    assert evaluation["n_unseen"] < 30
    assert evaluation["against_champion"] is None


def test_a_rejected_dataset_keeps_report_and_rows():
    """Nothing is trained, nothing is lost."""
    world = _World()
    run = world.train(body=b"number,short_description,close_notes,etiqueta\n1,hola,,9\n")
    assert run.outcome == "DatasetRejected"
    report = json.loads(world.artifacts.get("quarantine/quick/run/report.json"))
    assert report["n_rejected"] == 1
    kept = gzip.decompress(world.artifacts.get("quarantine/quick/run/rows.jsonl.gz"))
    assert json.loads(kept)["cells"]["etiqueta"] == "9"
    assert not any(key.startswith(("models/", "datasets/")) for key in world.artifacts.objects)


def test_only_the_evaluation_reads_the_test_rows():
    """Selection sees cross-validation alone."""
    world, readers = _World(), []
    get = world.artifacts.get

    def watched(key):
        if key.endswith(TEST):
            import inspect

            readers.append({frame.function for frame in inspect.stack()})
        return get(key)

    world.artifacts.get = watched
    world.train()
    assert len(readers) == 1
    assert "evaluate_challenger" in readers[0]


def test_a_run_id_used_again_for_other_rows_is_refused():
    """The same run never has two evaluations."""
    world = _World(n_candidates=1)
    first = world.train(n_rows=200)
    with pytest.raises(ModelVersionConflictError, match="new run id"):
        world.train(n_rows=260, seed=3)
    assert world.versions() == {first.model_version}


@pytest.mark.parametrize("damage", ["gone", "empty", "arrays"])
def test_a_champion_that_cannot_be_loaded_is_not_replaced_and_the_gate_says_why(damage):
    """No comparison, no promotion, no failed run."""
    world = _World(n_candidates=1)
    champion = world.train("first", n_rows=200).model_version
    key = model_key("quick", champion, "arrays.bin" if damage == "arrays" else "manifest.json")
    if damage == "gone":
        del world.artifacts.objects[key]
    else:
        world.artifacts.objects[key] = b"{}"
    run = world.train("second", n_rows=400, seed=3)
    assert run.outcome == "ChampionKept"
    assert "the champion cannot be compared" in run.summary
    assert world.aliases.read("quick").champion == champion


def test_a_regression_run_with_forests_can_be_started_again(housing):
    """Forests add their trees in one order, so a repeated run writes the same bytes."""
    world = _World()
    forest = [c for c in housing.candidates if c.name in ("random_forest", "tree_blend")]
    world.spec = housing.model_copy(update={"candidates": tuple(forest)})
    body = sample_files("housing")[0][1]
    first = world.train("run", body)
    kept = dict(world.artifacts.objects)
    for key in [key for key in kept if key.endswith("result.json")]:
        del world.artifacts.objects[key]
    assert world.train("run", body).model_version == first.model_version
    assert world.artifacts.objects == kept


def test_a_run_started_again_after_its_champion_was_replaced_does_not_claim_to_promote():
    """What serves now is what the outcome says."""
    world = _World(n_candidates=1)
    world.train("weak", n_rows=160, noise=0.25)
    strong = world.train("strong", n_rows=1500, seed=2, noise=0.0)
    again = world.train("weak", n_rows=160, noise=0.25)
    assert again.outcome == "ChampionKept"
    assert world.aliases.read("quick").champion == strong.model_version


def _invariants(world, champion_before):
    """What must hold after any death: no half-visible version, no half-moved alias."""
    for version in world.versions():
        verify_version(world.artifacts, "quick", version)
    record = world.aliases.read("quick")
    history = world.aliases.history("quick")
    assert len(history) == record.revision
    assert record.champion in {champion_before, *world.versions()}


@pytest.mark.parametrize("lands", [False, True], ids=["before the write", "after the write"])
def test_a_run_killed_at_any_write_and_started_again_ends_as_if_never_killed(lands):
    """No lost, doubled or half-visible version, wherever the process dies."""
    undisturbed = _World(n_candidates=1)
    expected = undisturbed.train(n_rows=200)
    assert expected.outcome == "ChallengerPromoted"
    for at in range(1, undisturbed.killer.n_writes + 1):
        world = _World(n_candidates=1)
        world.killer.at, world.killer.lands = at, lands
        with pytest.raises(_Killed):
            world.train(n_rows=200)
        _invariants(world, None)
        world.killer.at = -1
        again = world.train(n_rows=200)
        assert (again.outcome, again.model_version) == (expected.outcome, expected.model_version)
        assert world.versions() == {expected.model_version}
        assert world.aliases.read("quick").revision == 1
        _invariants(world, None)
