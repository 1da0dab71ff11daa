"""Ask the gate whether the challenger replaces the champion, and keep its answer."""

from dataclasses import dataclass

from noria.evaluation.runs import read_evaluation
from noria.ports import ArtifactStore
from noria.promotion.gate import decide_promotion as decide
from noria.records.codec import to_bytes
from noria.records.evaluation import GateOutcome
from noria.spec.model import ProjectSpec
from noria.storage.keys import DECISION, run_key


@dataclass(frozen=True)
class DecidePromotionRequest:
    """Which run's evaluation."""

    project: str
    run_id: str


@dataclass(frozen=True)
class DecidePromotionResult:
    """The decision; the reasons in full are at `decision_key`."""

    outcome: GateOutcome
    summary: str
    decision_key: str
    rollout: bool  # whether a promotion goes step by step


def decide_promotion(
    request: DecidePromotionRequest, *, spec: ProjectSpec, artifacts: ArtifactStore
) -> DecidePromotionResult:
    """Apply the spec's gate to the run's evaluation.

    Reads `evaluation.json`; writes `runs/<project>/<run_id>/decision.json`.
    """
    evaluation = read_evaluation(artifacts, spec.name, request.run_id)
    decision = decide(spec, evaluation)
    key = run_key(spec.name, request.run_id, DECISION)
    artifacts.put(key, to_bytes(decision))
    # The first champion replaces nothing, so there is nothing to compare it with live.
    is_stepwise = bool(spec.rollout.steps) and evaluation.champion is not None
    return DecidePromotionResult(decision.outcome, decision.summary(), key, is_stepwise)
