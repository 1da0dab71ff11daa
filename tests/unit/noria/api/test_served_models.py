from datetime import UTC, datetime, timedelta

import pytest

from noria.api.served_models import MODEL_REFUSED, REFRESH_SECONDS, ServedModels
from noria.errors import ModelCorruptError, NoChampionError, StoreUnavailableError
from noria.inference.loading import verified_manifest
from noria.records.alias import Promotion, RolloutChange
from noria.records.evaluation import VersionFacts
from noria.registry.versions import write_version
from noria.storage.keys import model_key
from tests.support.fakes import FixedClock, MemoryAliases, MemoryArtifacts
from tests.support.trained import COLUMN, tiny_bundle

NOW = datetime(2026, 1, 1, tzinfo=UTC)

OPEN = {"x": {**COLUMN, "pii": False}}


class _World:
    def __init__(self):
        self.artifacts, self.aliases, self.seconds = MemoryArtifacts(), MemoryAliases(), 0.0
        self.reported = []
        self.models = ServedModels(
            self.artifacts, self.aliases, lambda: self.seconds, self.report, FixedClock(NOW)
        )

    def promote(self, version, *, write=True):
        if write:
            write_version(self.artifacts, "p", version, tiny_bundle(), VersionFacts())
        revision = self.aliases.read("p").revision
        self.aliases.apply(
            Promotion("p", f"id-{version}-{revision}", version, revision, "manual", "", "me", "now")
        )

    def report(self, event, facts):
        self.reported.append((event, facts["model_version"]))

    def served(self):
        served = self.models.get("p")
        return served.model_version, served.degraded


def test_without_a_champion_there_is_a_clear_error():
    """The caller is told how to make one."""
    with pytest.raises(NoChampionError, match="noria train p"):
        _World().models.get("p")


def test_a_new_champion_serves_after_the_refresh_and_not_before():
    """Within 30 s, without a redeploy."""
    world = _World()
    world.promote("v1")
    assert world.served() == ("v1", None)
    world.promote("v2")
    assert world.served() == ("v1", None)
    world.seconds += REFRESH_SECONDS
    assert world.served() == ("v2", None)
    assert REFRESH_SECONDS <= 30


@pytest.mark.parametrize("damage", ["missing", "corrupt"])
def test_a_version_that_fails_to_load_is_refused_and_the_old_one_answers(damage):
    """Health shows why; no request fails."""
    world = _World()
    world.promote("v1")
    world.served()
    world.promote("v2", write=damage == "corrupt")
    if damage == "corrupt":
        world.artifacts.objects[model_key("p", "v2", "arrays.bin")] += b"x"
    world.seconds += REFRESH_SECONDS
    version, degraded = world.served()
    assert version == "v1"
    assert "v2 was refused" in degraded


@pytest.mark.parametrize("manifest", [b"{}", b"[]", b"null", b'{"files": 3}', b"\xff"])
def test_a_malformed_manifest_is_refused_like_any_damage(manifest):
    """The old champion answers, and the alias is not read at every request."""
    world = _World()
    world.promote("v1")
    world.served()
    world.artifacts.objects[model_key("p", "v2", "manifest.json")] = manifest
    world.promote("v2", write=False)
    world.seconds += REFRESH_SECONDS
    assert world.served()[0] == "v1"


def test_a_cold_start_on_a_broken_champion_answers_with_the_previous_one():
    """The last good version is always one step away."""
    world = _World()
    world.promote("v1")
    world.promote("v2")
    world.artifacts.objects[model_key("p", "v2", "arrays.bin")] += b"x"
    version, degraded = world.served()
    assert (version, "v2 was refused" in degraded) == ("v1", True)


def test_a_version_whose_manifest_is_not_the_verified_one_is_refused():
    """Whoever can write to the bucket can write right hashes; the registry holds what was meant."""
    world = _World()
    world.promote("v1")
    write_version(world.artifacts, "p", "v2", tiny_bundle(), VersionFacts())
    manifest = verified_manifest(world.artifacts, "p", "v2")
    world.aliases.apply(Promotion("p", "id", "v2", 1, "manual", "", "me", "now", manifest=manifest))
    assert world.served() == ("v2", None)
    other = tiny_bundle({"coefficients": [9.0], "intercepts": [9.0]})
    for key in [key for key in world.artifacts.objects if "/v2/" in key]:
        del world.artifacts.objects[key]
    write_version(world.artifacts, "p", "v2", other, VersionFacts())
    cold = ServedModels(world.artifacts, world.aliases, lambda: 0.0, world.report, FixedClock(NOW))
    found = cold.get("p")
    assert (found.model_version, "not a manifest" in found.degraded) == ("v1", True)
    assert world.reported == [(MODEL_REFUSED, "v2")]


@pytest.mark.parametrize(
    "fault", [ImportError, RecursionError, KeyError, MemoryError, ZeroDivisionError]
)
def test_whatever_goes_wrong_while_a_version_is_loaded_the_old_one_answers(monkeypatch, fault):
    """Of the champion, and of a challenger, which is then no danger to anybody's requests."""
    world = _World()
    world.promote("v1")
    world.served()
    world.promote("v2")

    def failing(bundle):
        raise fault("a cell")

    monkeypatch.setattr("noria.inference.predictor.FeatureView", failing)
    world.seconds += REFRESH_SECONDS
    version, degraded = world.served()
    assert (version, fault.__name__ in degraded, "cell" in degraded) == ("v1", True, False)
    revision = world.aliases.read("p").revision
    world.aliases.apply(RolloutChange("p", "r", "v2", revision, "canary", 1.0, "", "me", "now"))
    world.seconds += REFRESH_SECONDS
    assert world.models.get("p").rollout.predictor is None
    assert set(world.reported) == {(MODEL_REFUSED, "v2")}


def test_a_broken_only_champion_is_an_error():
    """There is nothing to fall back to, so the error is raised."""
    world = _World()
    world.promote("v1")
    world.artifacts.objects[model_key("p", "v1", "arrays.bin")] += b"x"
    with pytest.raises(ModelCorruptError):
        world.served()


def test_a_slow_store_is_not_asked_again_at_once():
    """The wait counts from the end of the refresh, else every request would wait."""
    world, reads = _World(), []
    world.promote("v1")
    world.served()

    def slow(project):
        reads.append(project)
        world.seconds += 2 * REFRESH_SECONDS
        raise StoreUnavailableError("slow")

    world.aliases.read = slow
    world.seconds += REFRESH_SECONDS
    for _ in range(5):
        world.served()
    assert len(reads) == 1


def test_an_unreadable_alias_keeps_the_loaded_model_answering():
    """A table that is down for a minute costs no prediction."""
    world = _World()
    world.promote("v1")
    world.served()

    def fail(project):
        raise StoreUnavailableError("the table is down")

    world.aliases.read = fail
    world.seconds += REFRESH_SECONDS
    version, degraded = world.served()
    assert (version, "the table is down" in degraded) == ("v1", True)


def test_a_store_that_fails_for_a_moment_does_not_condemn_a_challenger():
    """It is no failure of the model's; the next refresh tries again."""
    world = _World()
    world.promote("v1")
    write_version(world.artifacts, "p", "v2", tiny_bundle(), VersionFacts())
    world.aliases.apply(RolloutChange("p", "r", "v2", 1, "canary", 1.0, "", "me", "now"))
    get = world.artifacts.get

    def failing(key):
        if "/v2/" in key:
            raise StoreUnavailableError("slow down")
        return get(key)

    world.artifacts.get = failing
    assert world.models.get("p").rollout is None
    world.artifacts.get = get
    world.seconds += REFRESH_SECONDS
    assert world.models.get("p").rollout.predictor is not None


def test_a_clock_that_goes_back_does_not_freeze_the_alias():
    """Simulated time ends, and real time is earlier."""
    world = _World()
    world.seconds = 1e9
    world.promote("v1")
    world.served()
    world.promote("v2")
    world.seconds = 5.0
    assert world.served() == ("v2", None)


def _on_probation(world, before, now):
    """Promote a version, then another one, beside which the first answers for an hour."""
    for version, bundle in (("v1", before), ("v2", now)):
        write_version(world.artifacts, "p", version, bundle, VersionFacts())
        world.promote(version, write=False)
    until = (NOW + timedelta(hours=1)).isoformat()
    change = RolloutChange("p", "pr", "v1", 2, "shadow", 1.0, "", "me", NOW.isoformat(), until)
    world.aliases.apply(change)


def test_the_champion_before_is_loaded_while_the_probation_lasts():
    """Afterwards it costs no memory, though nothing has moved the aliases."""
    world = _World()
    _on_probation(world, tiny_bundle(), tiny_bundle())
    assert world.models.get("p").rollout.model_version == "v1"
    late = ServedModels(
        world.artifacts, world.aliases, lambda: 0.0, world.report,
        FixedClock(NOW + timedelta(hours=2)),
    )  # fmt: skip
    assert late.get("p").rollout is None


@pytest.mark.parametrize(
    "now",
    [tiny_bundle(private=["record_id"], columns=OPEN), tiny_bundle(),
     tiny_bundle(columns={"x": {**COLUMN, "pii": "drop"}})],
    ids=["ids", "masked", "dropped"],
)  # fmt: skip
def test_what_became_personal_is_not_logged_by_the_champion_before(now):
    """It knew nothing of that; the other way round there is nothing to hide."""
    world = _World()
    _on_probation(world, tiny_bundle(columns=OPEN), now)
    assert not _takes_a_request(world)
    other = _World()
    _on_probation(other, now, tiny_bundle(columns=OPEN))
    assert _takes_a_request(other)


def _takes_a_request(world):
    return world.models.get("p").rollout.takes("r", NOW)


def test_a_champion_before_that_may_not_log_is_read_once_and_not_at_each_refresh(monkeypatch):
    """Requests wait for each read; a new champion is read as ever."""
    world = _World()
    _on_probation(world, tiny_bundle(columns=OPEN), tiny_bundle())
    assert not _takes_a_request(world)
    read, get = [], world.artifacts.get
    monkeypatch.setattr(world.artifacts, "get", lambda key: read.append(key) or get(key))
    for world.seconds in (20.0, 40.0, 60.0):
        assert not _takes_a_request(world)
    assert read == []
    world.promote("v3")
    world.seconds = 80.0
    assert world.served() == ("v3", None)
    assert all("/v3/" in key for key in read)
    assert read
