"""A rollout taken back by one write."""

import pytest

from noria.errors import AliasConflictError
from noria.records.alias import Promotion
from tests.support.rollouts import advance, revert_rollout_of


def test_a_reverted_challenger_sees_nothing_and_the_champion_stays(p):
    """One write; the second time there is nothing to take back."""
    advance(p, 0, 1)
    assert revert_rollout_of(p).was_reverted
    record = p.aliases.read("loans")
    assert (record.champion, record.challenger, record.rollout_mode) == ("v1", None, "off")
    assert not revert_rollout_of(p).was_reverted
    assert p.aliases.history("loans")[0].kind == "reverted"


def test_a_step_that_was_given_up_and_commits_late_is_refused(p):
    """Its function outlived its state: the challenger would serve, and no machine would watch."""
    before = p.aliases.read("loans").revision
    assert not revert_rollout_of(p, revision=before).was_reverted
    assert revert_rollout_of(p, revision=before).champion == "v1"  # asked again, it moves no more
    assert p.aliases.read("loans").revision == before + 1
    with pytest.raises(AliasConflictError):
        advance(p, 0, before)
    assert p.aliases.read("loans").challenger is None
    advance(p, 0, before + 1)  # the control: what was decided on what is now goes through


def test_a_step_that_was_given_up_beside_another_rollout_is_refused_too(p):
    """It would have ended the other rollout: so does its end, and no challenger is unwatched."""
    advance(p, 0, 1)
    before = p.aliases.read("loans").revision
    p.add_version("v3")
    assert not revert_rollout_of(p, "v3", revision=before).was_reverted
    assert p.aliases.read("loans").challenger is None
    with pytest.raises(AliasConflictError):
        advance(p, 0, before, version="v3")
    with pytest.raises(AliasConflictError):  # the other machine is told, and ends as superseded
        advance(p, 1, before)


def test_another_rollout_and_a_promotion_that_happened_are_left_alone(p):
    """A revert that comes late must not take what is not its own."""
    advance(p, 0, 1)
    record = p.aliases.read("loans")
    assert not revert_rollout_of(p, "v3").was_reverted
    assert p.aliases.read("loans") == record
    promoted = Promotion("loans", "x", "v2", record.revision, "training", "r", "t", "2026-03-01")
    after = p.aliases.apply(promoted)
    assert revert_rollout_of(p).champion == "v2"
    assert p.aliases.read("loans") == after
