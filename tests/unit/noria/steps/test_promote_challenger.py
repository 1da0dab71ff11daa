"""The promotion at the end of a rollout."""

from datetime import timedelta

from noria.steps.promote_challenger import PromoteChallengerRequest, promote_challenger
from tests.support.fakes import FixedClock
from tests.support.rollouts import AT, advance


def test_behind_the_last_step_the_challenger_is_promoted(p):
    """At the revision that the last step wrote."""
    revision = advance(p, 1, advance(p, 0, 1).revision).revision
    promote_challenger(
        PromoteChallengerRequest("loans", "run", "v2", revision, "r"),
        spec=p.spec, artifacts=p.store, aliases=p.aliases, clock=FixedClock(AT),
    )  # fmt: skip
    record = p.aliases.read("loans")
    assert (record.champion, record.previous_champion, record.rollout_mode) == ("v2", "v1", "off")


def test_the_champion_before_answers_beside_the_new_one_while_it_is_on_probation(p):
    """For as long as the spec says, shown to nobody; a step that runs twice begins it once."""
    rollout = p.spec.rollout.model_copy(update={"probation_hours": 48.0})
    spec = p.spec.model_copy(update={"rollout": rollout})
    request = PromoteChallengerRequest("loans", "run", "v2", 1, "r")
    here = {"spec": spec, "artifacts": p.store, "aliases": p.aliases, "clock": FixedClock(AT)}
    results = {promote_challenger(request, **here) for _ in range(2)}
    (result,) = results
    record = p.aliases.read("loans")
    assert (result.champion, result.replaced, result.revision) == ("v2", "v1", record.revision)
    assert (record.challenger, record.rollout_mode, record.rollout_fraction) == ("v1", "shadow", 1)
    assert record.is_on_probation(AT + timedelta(hours=48))
    assert not record.is_on_probation(AT + timedelta(hours=49))
    assert [entry.kind for entry in p.aliases.history("loans")][:2] == ["shadow", "training"]


def test_a_promotion_stands_where_the_alias_moves_before_its_probation_begins(p):
    """Whoever moves it decides; the run must not say that the champion was kept."""
    rollout = p.spec.rollout.model_copy(update={"probation_hours": 48.0})
    spec = p.spec.model_copy(update={"rollout": rollout})

    class Moving:
        def apply(self, change):
            record = p.aliases.apply(change)
            if change.model_version == "v2":
                p.roll_out("v1", at=AT)
            return record

    promoted = promote_challenger(
        PromoteChallengerRequest("loans", "run", "v2", 1, "r"),
        spec=spec, artifacts=p.store, aliases=Moving(), clock=FixedClock(AT),
    )  # fmt: skip
    assert promoted.champion == "v2"
    assert not p.aliases.read("loans").is_on_probation(AT)
