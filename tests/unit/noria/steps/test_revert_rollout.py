"""A rollout taken back by one write."""

from tests.support.rollouts import advance, revert_rollout_of


def test_a_reverted_challenger_sees_nothing_and_the_champion_stays(p):
    """One write; the second time there is nothing to do."""
    advance(p, 0, 1)
    assert revert_rollout_of(p).was_reverted
    record = p.aliases.read("loans")
    assert (record.champion, record.challenger, record.rollout_mode) == ("v1", None, "off")
    assert not revert_rollout_of(p).was_reverted
    assert p.aliases.history("loans")[0].kind == "reverted"
