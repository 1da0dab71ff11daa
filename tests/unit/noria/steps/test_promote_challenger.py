"""The promotion at the end of a rollout."""

from noria.steps.promote_challenger import PromoteChallengerRequest, promote_challenger
from tests.support.fakes import FixedClock
from tests.support.rollouts import AT, advance


def test_behind_the_last_step_the_challenger_is_promoted(p):
    """At the revision that the last step wrote."""
    revision = advance(p, 1, advance(p, 0, 1).revision).revision
    promote_challenger(
        PromoteChallengerRequest("loans", "run", "v2", revision, "r"),
        artifacts=p.store, aliases=p.aliases, clock=FixedClock(AT),
    )  # fmt: skip
    record = p.aliases.read("loans")
    assert (record.champion, record.previous_champion, record.rollout_mode) == ("v2", "v1", "off")
