"""The one reading of the test rows: challenger, champion and baseline on the same rows."""

import inspect
import json

import pytest

from noria.bundle.format import BUNDLE_FILE
from noria.errors import ModelVersionConflictError
from noria.spec.loader import parse_spec
from noria.steps.evaluate_challenger import EvaluateChallengerRequest, evaluate_challenger
from noria.storage.keys import TEST, candidate_key, model_key
from tests.support.rows import ticket_csv
from tests.support.specs import QUICK_TICKETS
from tests.support.worlds import World, changed, trained


def test_only_the_evaluation_reads_the_test_rows():
    """Selection sees cross-validation alone."""
    world, readers = World(n_candidates=1), []
    get = world.artifacts.get

    def watched(key):
        if key.endswith(TEST):
            readers.append({frame.function for frame in inspect.stack()})
        return get(key)

    world.artifacts.get = watched
    world.train()
    assert len(readers) == 1
    assert "evaluate_challenger" in readers[0]


def test_rows_the_champion_was_trained_on_do_not_judge_it():
    """Its own training rows would flatter it."""
    world, _ = trained()
    world.spec = changed(world.spec, ("split", "seed"), 7)
    world.train("second")
    evaluation = json.loads(world.artifacts.get("runs/quick/second/evaluation.json"))
    assert evaluation["n_test"] > evaluation["n_unseen"]
    assert evaluation["n_unseen"] < 30
    assert evaluation["against_champion"] is None


@pytest.mark.parametrize("damage", ["gone", "empty", "arrays"])
def test_a_champion_that_cannot_be_loaded_is_not_replaced_and_the_gate_says_why(damage):
    """No comparison, no promotion, no failed run."""
    world, first = trained()
    champion = first.model_version
    key = model_key("quick", champion, "arrays.bin" if damage == "arrays" else "manifest.json")
    if damage == "gone":
        del world.artifacts.objects[key]
    else:
        world.artifacts.objects[key] = b"{}"
    run = world.train("second", n_rows=400, seed=3)
    assert run.outcome == "ChampionKept"
    assert "the champion cannot be compared" in run.summary
    assert world.aliases.read("quick").champion == champion


def test_a_run_id_used_again_for_other_rows_is_refused():
    """The same run never has two evaluations."""
    world, first = trained()
    with pytest.raises(ModelVersionConflictError, match="new run id"):
        world.train(n_rows=260, seed=3)
    assert world.versions() == {first.model_version}


def _again(world):
    (version,) = {k.split("/")[2] for k in world.artifacts.objects if k.startswith("datasets/")}
    return evaluate_challenger(
        EvaluateChallengerRequest("quick", "run", version, "logistic"),
        spec=world.spec, artifacts=world.artifacts, aliases=world.aliases,
    )  # fmt: skip


def test_a_run_started_again_keeps_its_evaluation_whoever_is_champion_now():
    """Its own promotion never becomes what it is compared with."""
    world, run = trained()
    assert world.aliases.read("quick").champion == run.model_version
    before = dict(world.artifacts.objects)
    found = _again(world)
    assert (found.champion, found.alias_revision, found.champion_score) == (None, 0, None)
    assert world.artifacts.objects == before


def test_a_run_with_another_challenger_than_it_evaluated_is_refused():
    """The evaluation names the bundle that it judged."""
    world, _ = trained()
    key = candidate_key("quick", "run", "logistic", BUNDLE_FILE)
    world.artifacts.put(key, world.artifacts.get(key) + b" ")
    with pytest.raises(ModelVersionConflictError, match="another challenger"):
        _again(world)


@pytest.mark.parametrize(("is_personal", "is_shown"), [(False, True), (True, False)])
def test_rare_levels_of_a_personal_column_are_no_slices(is_personal, is_shown):
    """A place where one person lives would be named in the report, and whether it went wrong."""
    world = World(n_candidates=1)
    text = QUICK_TICKETS.replace(
        "close_notes =",
        f'place = {{ type = "category", pii = {str(is_personal).lower()} }}\nclose_notes =',
    ).replace("folds = 2", 'folds = 2\nslices = ["place"]')
    spec = parse_spec(text, source="quick.toml")
    world.spec = spec.model_copy(update={"candidates": spec.candidates[:1]})
    header, *rows = ticket_csv(300).decode().splitlines()
    places = [f"house {n}" if n % 3 == 0 else "norte" for n in range(len(rows))]
    lines = [f"place,{header}", *(f"{p},{row}" for p, row in zip(places, rows, strict=True))]
    world.train(body="\n".join(lines).encode())
    evaluation = json.loads(world.artifacts.get("runs/quick/run/evaluation.json"))
    levels = {found["level"] for found in evaluation["slices"]}
    assert "norte" in levels
    assert any(level.startswith("house") for level in levels) is is_shown
