"""The gate's decision is kept beside the evaluation it was taken on."""

from dataclasses import replace

import pytest

from noria.records.codec import from_bytes, to_bytes
from noria.records.evaluation import Evaluation, PromotionDecision
from noria.spec.operations import RolloutStep
from noria.steps.decide_promotion import DecidePromotionRequest, decide_promotion
from noria.storage.keys import DECISION, EVALUATION, run_key
from tests.support.worlds import changed, trained

_STEP = RolloutStep(mode="canary", fraction=0.1, bake_minutes=10)


def _decide(world):
    request = DecidePromotionRequest("quick", "run")
    return decide_promotion(request, spec=world.spec, artifacts=world.artifacts)


def _evaluation(world):
    return from_bytes(Evaluation, world.artifacts.get(run_key("quick", "run", EVALUATION)))


def test_the_decision_is_stored_with_every_reason():
    """What the result says in short is at its key in full."""
    world, _ = trained()
    result = _decide(world)
    kept = from_bytes(PromotionDecision, world.artifacts.get(result.decision_key))
    assert result.decision_key == run_key("quick", "run", DECISION)
    assert (kept.outcome, kept.summary()) == (result.outcome, result.summary)
    assert result.outcome == "promote"
    assert {reason.code for reason in kept.reasons} >= {"enough_test_rows", "beats_baseline"}


def test_a_decision_asked_for_again_is_the_same():
    """It reads the evaluation alone."""
    world, _ = trained()
    before = dict(world.artifacts.objects)
    assert _decide(world) == _decide(world)
    assert world.artifacts.objects == before


def test_a_gate_that_the_challenger_misses_refuses_it():
    """The bound of the spec, on the metrics of the evaluation."""
    world, _ = trained()
    (gate,) = world.spec.promotion.gates
    strict = (gate.model_copy(update={"min": 1.0}),)
    world.spec = changed(world.spec, ("promotion", "gates"), strict)
    result = _decide(world)
    assert result.outcome == "refuse_challenger"
    assert "f1_weighted" in result.summary


@pytest.mark.parametrize(
    ("champion", "steps", "is_stepwise"),
    [(None, (_STEP,), False), ("v1", (), False), ("v1", (_STEP,), True)],
)
def test_only_a_challenger_that_replaces_a_champion_is_rolled_out_in_steps(
    champion, steps, is_stepwise
):
    """The first champion replaces nothing, so there is nothing to compare it with."""
    world, _ = trained()
    world.spec = changed(world.spec, ("rollout", "steps"), steps)
    evaluation = to_bytes(replace(_evaluation(world), champion=champion))
    world.artifacts.put(run_key("quick", "run", EVALUATION), evaluation)
    assert _decide(world).rollout is is_stepwise


def test_a_run_without_an_evaluation_has_no_decision():
    """No comparison, no promotion."""
    world, _ = trained()
    del world.artifacts.objects[run_key("quick", "run", EVALUATION)]
    with pytest.raises(KeyError):
        _decide(world)
