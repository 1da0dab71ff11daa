"""The model fitted again on all rows serves, or the one that was evaluated."""

import json
from dataclasses import replace
from functools import lru_cache
from io import BytesIO

import numpy as np
import pytest

from noria.bundle.format import BUNDLE_FILE, pack, unpack, with_description
from noria.data.versions import read_rows
from noria.evaluation.decisions import decide
from noria.evaluation.runs import read_evaluation
from noria.inference.loading import load_model_version
from noria.monitoring.prediction_log import read_reference
from noria.monitoring.reference import Reference, as_answers
from noria.records.bundle import Decision
from noria.records.codec import from_bytes, to_bytes
from noria.records.training import CandidateDecision, CandidateResult
from noria.registry.versions import read_manifest
from noria.steps.check_refit import CheckRefitRequest, check_refit
from noria.storage.keys import (
    NO_RESULT,
    REFERENCE,
    RESULT,
    TEST,
    TRAIN,
    USUAL_ANSWERS,
    candidate_key,
    run_key,
)
from tests.support.worlds import World, changed

WHO = ("quick", "run-refit", "logistic")


@lru_cache(maxsize=1)
def _once():
    world = World(n_candidates=1)
    world.spec = changed(world.spec, ("training", "serve"), "refitted")
    return world, world.train()


@pytest.fixture
def refitted():
    """A project whose champion was fitted again on all rows, and its run."""
    world, run = _once()
    return world.copied(), run


def _lineage(world, version):
    return read_manifest(world.artifacts, "quick", version).lineage


def _checked(world, run, whole=None):
    mine = _lineage(world, run.model_version)
    evaluated = _lineage(world, mine.evaluated_as)
    request = CheckRefitRequest(
        "quick", "run", "run-refit", evaluated.dataset_version, "logistic",
        whole or mine.dataset_version,
    )  # fmt: skip
    return check_refit(request, spec=world.spec, artifacts=world.artifacts)


def test_what_serves_has_learned_from_every_row_and_names_the_version_that_was_evaluated(refitted):
    """Both are registered; the evaluation is the evaluated one's."""
    world, run = refitted
    champion = world.aliases.read("quick").champion
    assert champion == run.model_version
    mine = _lineage(world, champion)
    other = _lineage(world, mine.evaluated_as)
    assert other.evaluated_as is None
    rows = {
        name: read_rows(world.artifacts, "quick", version, part)
        for name, version, part in (
            ("all", mine.dataset_version, TRAIN),
            ("train", other.dataset_version, TRAIN),
            ("test", other.dataset_version, TEST),
        )
    }
    assert rows["all"] == rows["train"] + rows["test"]
    metrics = read_evaluation(world.artifacts, "quick", "run").metrics
    assert read_manifest(world.artifacts, "quick", champion).metrics == metrics
    assert read_reference(world.artifacts, "quick", champion).tested == metrics
    weights = [
        load_model_version(world.artifacts, "quick", v).arrays["coefficients"]
        for v in (champion, mine.evaluated_as)
    ]
    assert weights[0] != weights[1]


def test_rows_that_the_champion_was_refitted_on_do_not_judge_it(refitted):
    """The next comparison is made on rows that neither has seen."""
    world, _ = refitted
    run = world.train("second")
    assert run.outcome == "ChampionKept"
    assert "0 test rows that the champion has not trained on" in run.summary
    later = world.train("third", n_rows=500, seed=9)
    evaluation = read_evaluation(world.artifacts, "quick", "third")
    assert evaluation.n_unseen >= 30
    assert later.outcome in {"ChampionKept", "ChallengerPromoted"}


def test_the_refit_is_the_same_to_the_byte():
    """Another machine, the same rows: the same version."""
    first = _once()[1]
    world = World(n_candidates=1)
    world.spec = changed(world.spec, ("training", "serve"), "refitted")
    assert world.train().model_version == first.model_version


def test_a_refit_of_an_earlier_attempt_on_other_rows_does_not_serve(refitted):
    """Its process died this time, and what lies there is of the files before."""
    world, run = refitted
    assert _checked(world, run).serves == "refitted"
    found = _checked(world, run, whole="other-rows")
    assert (found.serves, found.reason) == (
        "evaluated", "the candidate could not be fitted on all rows"
    )  # fmt: skip


def test_a_refit_that_answers_something_else_does_not_serve(refitted):
    """The evaluated version does; here the coefficients have another sign."""
    world, run = refitted
    key = {name: candidate_key(*WHO, name) for name in (BUNDLE_FILE, "arrays.bin")}
    assert _checked(world, run).serves == "refitted"
    document, arrays = unpack({name: world.artifacts.get(k) for name, k in key.items()})
    arrays["coefficients"] = type(arrays["coefficients"])(
        "d", [-8.0 * value for value in arrays["coefficients"]]
    )
    kept = {name: part for name, part in arrays.items() if not name.startswith("$")}
    for name, body in pack(document, kept).items():
        world.artifacts.objects[key[name]] = body
    found = _checked(world, run)
    assert found.serves == "evaluated"
    assert found.distance > 0.25
    assert "more than 0.25" in found.reason


@pytest.mark.parametrize("body", [None, NO_RESULT])
def test_a_candidate_that_could_not_be_fitted_again_leaves_the_evaluated_version(refitted, body):
    """A training that failed writes no result, or takes it back."""
    world, run = refitted
    key = candidate_key(*WHO, RESULT)
    if body is None:
        del world.artifacts.objects[key]
    else:
        world.artifacts.objects[key] = body
    assert _checked(world, run).serves == "evaluated"


def test_a_degenerate_decision_of_the_refit_is_replaced(refitted):
    """What was learned on all rows is no exception."""
    world, run = refitted
    key = candidate_key(*WHO, BUNDLE_FILE)
    tilted = Decision((1.0, 0.0, 0.0))
    world.artifacts.objects[key] = with_description(world.artifacts.get(key), tilted.to_dict())
    result_key = candidate_key(*WHO, RESULT)
    result = from_bytes(CandidateResult, world.artifacts.get(result_key))
    result = replace(result, decision=CandidateDecision(tilted.weights))
    world.artifacts.objects[result_key] = to_bytes(result)
    place = candidate_key(*WHO, REFERENCE)
    learned = Reference.from_bytes(world.artifacts.get(place))
    with np.load(BytesIO(world.artifacts.get(candidate_key(*WHO, USUAL_ANSWERS)))) as kept:
        collapsed = decide(kept["outputs"], tilted)
    rows = [*as_answers(learned.classes, collapsed)]
    world.artifacts.objects[place] = learned.answering(rows, learned.tested).to_bytes()
    world.spec = changed(world.spec, ("decision", "rule"), "tuned")
    world.spec = changed(world.spec, ("decision", "max_share_ratio"), 1.2)
    assert _checked(world, run).serves == "refitted"
    assert json.loads(world.artifacts.get(key))["decision_weights"] == [1.0, 1.0, 1.0]
    # Monitoring compares with what will be decided, not with what was learned.
    profile = Reference.from_bytes(world.artifacts.get(run_key("quick", "run-refit", REFERENCE)))
    with np.load(BytesIO(world.artifacts.get(candidate_key(*WHO, USUAL_ANSWERS)))) as kept:
        usual = np.bincount(kept["outputs"].argmax(axis=1), minlength=3)
    assert profile.profile.columns["(prediction)"].counts.tolist() == [*usual.tolist(), 0]
    said = profile.out_of_fold.columns["(prediction)"].counts
    assert said[0] < 0.9 * said.sum()
    # An attempt that was cut off after it had rewritten the bundle ends the same.
    before = dict(world.artifacts.objects)
    assert _checked(world, run).serves == "refitted"
    assert world.artifacts.objects == before


def test_the_usual_answers_of_a_refit_are_of_models_fitted_on_nearly_as_many_rows(refitted):
    """Those of the evaluated one are less sure: that alone was called drift of the confidence."""
    world, run = refitted
    mine = read_reference(world.artifacts, "quick", run.model_version)
    n_rows = mine.profile.n_rows
    answered = mine.profile.columns["(prediction)"].n
    assert 0.45 * n_rows <= answered <= 0.55 * n_rows  # five parts of a tenth
    assert answered < mine.out_of_fold.n_rows
