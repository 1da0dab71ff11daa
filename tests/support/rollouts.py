"""The steps of a rollout, on a project in memory."""

from datetime import datetime, timedelta

from noria.spec.operations import RolloutStep
from noria.steps.advance_rollout import AdvanceRolloutRequest, AdvanceRolloutResult, advance_rollout
from noria.steps.check_rollout import CheckRolloutRequest, CheckRolloutResult, check_rollout
from noria.steps.revert_rollout import RevertRolloutRequest, RevertRolloutResult, revert_rollout
from tests.support.fakes import FixedClock
from tests.support.production import START, Production

STEPS = (
    RolloutStep(mode="shadow", fraction=1.0, bake_minutes=60),
    RolloutStep(mode="canary", fraction=0.25, bake_minutes=30),
)
AT = START + timedelta(hours=5)


def advance(p: Production, step: int, revision: int, version: str = "v2") -> AdvanceRolloutResult:
    """Go to a step, at AT."""
    request = AdvanceRolloutRequest("loans", "run", version, step, revision)
    return advance_rollout(
        request, spec=p.spec, artifacts=p.store, aliases=p.aliases, clock=FixedClock(AT)
    )


def check_step(
    p: Production, n_waits: int = 0, at: datetime = AT + timedelta(hours=1)
) -> CheckRolloutResult:
    """Judge the step after its bake time."""
    request = CheckRolloutRequest("loans", "v2", n_waits)
    return check_rollout(
        request, spec=p.spec, store=p.store, aliases=p.aliases, clock=FixedClock(at)
    )


def revert_rollout_of(p: Production, version: str = "v2", revision: int = 1) -> RevertRolloutResult:
    """Take the challenger back, at AT, by a machine whose next step would be written on a revision."""
    request = RevertRolloutRequest("loans", "run", version, "because", revision)
    return revert_rollout(request, aliases=p.aliases, clock=FixedClock(AT))
