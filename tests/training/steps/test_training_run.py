"""The steps of `training.asl.json` in its order, on in-memory ports."""

import gzip
import json

import pytest

from cli.samples.files import sample_files
from noria.records.codec import to_bytes
from noria.records.evaluation import Manifest
from noria.registry.versions import verify_version
from noria.storage.hashing import sha256_hex
from noria.storage.keys import MANIFEST, model_key
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock
from tests.support.killing import State, cuts_of, faults_after
from tests.support.pipeline import run_training
from tests.support.rows import ticket_csv
from tests.support.specs import quick_tickets
from tests.support.worlds import World


def test_the_first_good_model_becomes_champion_with_its_lineage():
    """Everything needed to explain it is in the manifest."""
    world = World()
    run = world.train()
    assert run.outcome == "ChallengerPromoted"
    assert world.aliases.read("quick").champion == run.model_version
    lineage = verify_version(world.artifacts, "quick", run.model_version).lineage
    assert lineage.run_id == "run"
    assert lineage.parent_champion is None
    assert all((lineage.dataset_version, lineage.spec_sha256, lineage.code, lineage.execution_id))


def test_unchanged_data_keep_the_champion_and_train_the_same_bundle():
    """Equal spec, data and seed give equal bytes; an equal model is no improvement."""
    world = World()
    first, second = world.train("run1"), world.train("run2")
    assert second.outcome == "ChampionKept"
    assert "[+0.0000, +0.0000]" in second.summary
    assert first.model_version.rpartition("-")[2] == second.model_version.rpartition("-")[2]
    assert world.aliases.read("quick").champion == first.model_version


def test_shuffled_labels_are_refused_by_the_gate():
    """With a champion and without one."""
    world = World()
    assert world.train("bad", n_rows=600, shuffle_labels=True).outcome == "ChallengerRefused"
    assert world.aliases.read("quick").champion is None
    good = world.train("good")
    run = world.train("worse", n_rows=600, seed=9, shuffle_labels=True)
    assert run.outcome == "ChallengerRefused"
    assert world.aliases.read("quick").champion == good.model_version


def test_an_honest_improvement_is_promoted():
    """Better labels make a better model, and the interval shows it."""
    world = World()
    weak = world.train("weak", n_rows=160, noise=0.25)
    strong = world.train("strong", n_rows=1500, seed=2, noise=0.0)
    assert (weak.outcome, strong.outcome) == ("ChallengerPromoted", "ChallengerPromoted")
    record = world.aliases.read("quick")
    assert (record.champion, record.previous_champion) == (strong.model_version, weak.model_version)


def test_a_rejected_dataset_keeps_report_and_rows():
    """Nothing is trained, nothing is lost."""
    world = World()
    run = world.train(body=b"number,short_description,close_notes,etiqueta\n1,hola,,9\n")
    assert run.outcome == "DatasetRejected"
    report = json.loads(world.artifacts.get("quarantine/quick/run/report.json"))
    assert report["n_rejected"] == 1
    kept = gzip.decompress(world.artifacts.get("quarantine/quick/run/rows.jsonl.gz"))
    assert json.loads(kept)["cells"]["etiqueta"] == "9"
    assert not any(key.startswith(("models/", "datasets/")) for key in world.artifacts.objects)


def test_a_regression_run_with_forests_can_be_started_again(housing):
    """Forests add their trees in one order, so a repeated run writes the same bytes."""
    world = World()
    forest = [c for c in housing.candidates if c.name in ("random_forest", "tree_blend")]
    world.spec = housing.model_copy(update={"candidates": tuple(forest)})
    body = sample_files("housing", n_rows=150)[0][1]
    first = world.train("run", body)
    kept = dict(world.artifacts.objects)
    for key in [key for key in kept if key.endswith("result.json")]:
        del world.artifacts.objects[key]
    assert world.train("run", body).model_version == first.model_version
    assert world.artifacts.objects == kept


def test_a_run_started_again_after_its_champion_was_replaced_does_not_claim_to_promote():
    """What serves now is what the outcome says."""
    world = World(n_candidates=1)
    world.train("weak", n_rows=160, noise=0.25)
    strong = world.train("strong", n_rows=1500, seed=2, noise=0.0)
    again = world.train("weak", n_rows=160, noise=0.25)
    assert again.outcome == "ChampionKept"
    assert world.aliases.read("quick").champion == strong.model_version


_CSV = "inbox/rows.csv"


def _start(state):
    """Run the training on what is stored; the report is not drawn, which takes most of the time."""
    spec = quick_tickets()
    spec = spec.model_copy(update={"candidates": spec.candidates[:1]})
    return run_training(
        spec, _CSV, "run", reports=True,
        artifacts=state.artifacts, aliases=state.aliases, clock=SteppingClock(),
    )  # fmt: skip


def _versions(state):
    keys = [key for key in state.artifacts.objects if key.startswith("models/")]
    return {key.split("/")[2] for key in keys if key.endswith("manifest.json")}


def _holds(expected):
    """Return what must hold after any death, and after the run was started again."""

    def check(state, again):
        for version in _versions(state):
            verify_version(state.artifacts, "quick", version)
        record, history = state.aliases.read("quick"), state.aliases.history("quick")
        assert len(history) == record.revision
        assert record.champion in {None, *_versions(state)}
        if again is not None:
            assert (again.outcome, again.model_version) == (
                expected.outcome,
                expected.model_version,
            )
            assert _versions(state) == {expected.model_version}
            assert record.revision == 1

    return check


@pytest.fixture
def killed(monkeypatch):
    """Return what finds the faults of the run, wherever it dies: {cut: fault}, and the cuts."""
    monkeypatch.setattr("noria.steps.write_training_report.render", lambda *_: b"<!doctype html>")

    def faults(**where):
        state = State(MemoryArtifacts(), MemoryAliases())
        state.artifacts.put(_CSV, ticket_csv(150))
        expected = _start(state.copied())
        assert expected.outcome == "ChallengerPromoted"
        cuts = cuts_of(state, _start)
        return faults_after(cuts, _start, _holds(expected), **where), cuts

    return faults


def test_a_run_killed_at_any_call_and_started_again_ends_as_if_never_killed(killed):
    """No lost, doubled or half-visible version, wherever the process dies."""
    faults, cuts = killed()
    assert not faults
    assert len(cuts.states) == len(cuts.writes) + 1
    assert sum(write.startswith("aliases.apply") for write in cuts.writes) == 1
    assert len(cuts.writes) >= 35
    assert cuts.n >= 200


def _manifest_first(artifacts, project, model_version, files, facts):
    hashes = {name: sha256_hex(body) for name, body in files.items()}
    manifest = Manifest(project, model_version, hashes, **vars(facts))
    artifacts.put(model_key(project, model_version, MANIFEST), to_bytes(manifest))
    for name, body in files.items():
        artifacts.put(model_key(project, model_version, name), body)


def test_a_manifest_that_is_written_first_would_be_found(killed, monkeypatch):
    """Control: the version is there before its files are."""
    monkeypatch.setattr("noria.steps.register_model_version.write_version", _manifest_first)
    faults, _ = killed(last=12)
    assert any("manifest.json" in cut for cut in faults)


def test_a_promotion_without_an_id_of_its_own_would_be_found(killed, monkeypatch):
    """Control: a run that is started again after its promotion promotes a second time."""
    ids = iter(range(10_000))
    plain = MemoryAliases.apply

    def forgetful(self, change):
        revision = self.read(change.project).revision
        change = change._replace(promotion_id=f"p{next(ids)}", expected_revision=revision)
        return plain(self, change)

    monkeypatch.setattr(MemoryAliases, "apply", forgetful)
    faults, _ = killed(last=2)
    assert any("aliases.apply" in cut for cut in faults)
