"""What a change makes of the alias record."""

from noria.records.alias import AliasRecord, Promotion, RolloutChange, apply_change

_RECORD = AliasRecord("p", 7, "v2", "v1", "2026-01-01T00:00:00+00:00")


def _promotion(version):
    return Promotion("p", "id", version, 7, "manual", "why", "who", "2026-02-01T00:00:00+00:00")


def test_a_promotion_remembers_the_champion_it_replaced():
    """That is what a rollback returns to."""
    after, entry = apply_change(_RECORD, _promotion("v3"))
    assert (after.champion, after.previous_champion, after.revision) == ("v3", "v2", 8)
    assert after.promoted_at == "2026-02-01T00:00:00+00:00"
    assert entry.replaced == "v2"


def test_promoting_the_champion_itself_ends_a_rollout_and_loses_no_way_back():
    """It would be its own predecessor, and a rollback would change nothing."""
    change = RolloutChange(
        "p", "r", "v3", 7, "canary", 0.5, "why", "who", "2026-01-02", "2026-01-03"
    )
    rolling, _ = apply_change(_RECORD, change)
    after, entry = apply_change(rolling, _promotion("v2"))
    assert (after.champion, after.previous_champion) == ("v2", "v1")
    assert (after.challenger, after.rollout_mode) == (None, "off")
    assert after.promoted_at == _RECORD.promoted_at
    assert (after.revision, entry.revision) == (9, 9)
