"""The promises of `ModelAliases`: the same tests on the fake and on DynamoDB over both clients."""

import threading

import pytest

from noria.errors import AliasConflictError, SettingsError, TransientError
from noria.records.alias import AliasRecord, Promotion, RolloutChange
from noria_aws.aws.settings import AwsContext
from noria_aws.serving.ports import ReadOnlyAliases, dynamodb
from tests.support.fakes import MemoryAliases


@pytest.fixture(params=["memory", "dynamodb"])
def aliases(request):
    """Each implementation that writes."""
    if request.param == "memory":
        return MemoryAliases()
    return request.getfixturevalue("target").aliases


def _promotion(project, version, revision, promotion_id=None):
    return Promotion(
        project, promotion_id or f"id-{version}", version, revision, "manual", "why", "me", "now"
    )


def test_a_project_never_promoted_has_no_champion(aliases, project):
    """Revision 0, no history."""
    assert aliases.read(project) == AliasRecord(project, 0, None, None, None)
    assert list(aliases.history(project)) == []


def test_promotions_move_the_alias_and_write_history(aliases, project):
    """Newest first; each row says what it replaced."""
    assert aliases.apply(_promotion(project, "v1", 0)).champion == "v1"
    record = aliases.apply(_promotion(project, "v2", 1))
    assert record == aliases.read(project)
    assert (record.revision, record.champion, record.previous_champion) == (2, "v2", "v1")
    history = aliases.history(project)
    assert [(e.revision, e.model_version, e.replaced) for e in history] == [
        (2, "v2", "v1"),
        (1, "v1", None),
    ]
    assert len(aliases.history(project, limit=1)) == 1


def test_the_same_promotion_twice_is_one(aliases, project):
    """A retried step promotes once, even after others moved on."""
    first = _promotion(project, "v1", 0)
    aliases.apply(first)
    assert aliases.apply(first).revision == 1
    aliases.apply(_promotion(project, "v2", 1))
    assert aliases.apply(first).champion == "v2"
    assert len(aliases.history(project)) == 2


def test_a_decision_on_an_old_revision_is_refused_and_changes_nothing(aliases, project):
    """The comparison it was taken on no longer holds."""
    aliases.apply(_promotion(project, "v1", 0))
    for stale in (0, 7):
        with pytest.raises(AliasConflictError):
            aliases.apply(_promotion(project, "v2", stale))
    assert aliases.read(project).champion == "v1"
    assert len(aliases.history(project)) == 1


def _rollout(project, version, revision, mode="canary", fraction=0.25):
    return RolloutChange(
        project, f"r-{version}-{revision}", version, revision, mode, fraction, "why", "me", "later"
    )


def test_a_rollout_is_written_read_and_ended_with_its_history(aliases, project):
    """The champion does not move; a fraction is a fraction after the trip."""
    aliases.apply(_promotion(project, "v1", 0))
    aliases.apply(_rollout(project, "v2", 1))
    record = aliases.read(project)
    assert (record.champion, record.challenger) == ("v1", "v2")
    assert (record.rollout_mode, record.rollout_fraction) == ("canary", 0.25)
    assert record.rollout_started_at == "later"
    aliases.apply(_rollout(project, "v2", 2, "off", 0.0))
    record = aliases.read(project)
    assert (record.champion, record.challenger, record.rollout_mode) == ("v1", None, "off")
    assert [entry.kind for entry in aliases.history(project)] == ["reverted", "canary", "manual"]


def test_a_promotion_ends_a_rollout_and_a_stale_step_is_refused(aliases, project):
    """Rollback by hand wins over a rollout that still bakes."""
    aliases.apply(_promotion(project, "v1", 0))
    aliases.apply(_rollout(project, "v2", 1, "shadow", 1.0))
    aliases.apply(_promotion(project, "v0", 2))
    assert aliases.read(project).challenger is None
    with pytest.raises(AliasConflictError):
        aliases.apply(_rollout(project, "v2", 2))


def test_of_two_promoters_at_once_exactly_one_wins(aliases, project):
    """Ten rounds of four; the losers know that they lost."""
    for revision in range(10):
        outcomes, start = [], threading.Barrier(4)

        def promote(number, revision=revision, outcomes=outcomes, start=start):
            promotion = _promotion(project, f"v{revision}-{number}", revision)
            start.wait()
            while True:
                try:
                    outcomes.append(aliases.apply(promotion).champion)
                except TransientError:
                    continue
                except AliasConflictError:
                    outcomes.append(None)
                return

        threads = [threading.Thread(target=promote, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = [outcome for outcome in outcomes if outcome]
        record = aliases.read(project)
        assert (record.revision, record.champion) == (revision + 1, winner)
    assert len(aliases.history(project)) == 10


def test_the_serving_client_reads_what_was_promoted(target, project):
    """Same record, same history, and no right to promote."""
    target.aliases.apply(_promotion(project, "v1", 0))
    endpoint = target.emulator.endpoint_url
    reader = ReadOnlyAliases(
        target.outputs["AliasTable"],
        dynamodb(lambda: AwsContext("us-east-1", "test", "test", None, endpoint)),
    )
    assert reader.read(project) == target.aliases.read(project)
    assert list(reader.history(project)) == list(target.aliases.history(project))
    assert reader.read(project + "_none").revision == 0
    with pytest.raises(SettingsError):
        reader.apply(_promotion(project, "v2", 1))
