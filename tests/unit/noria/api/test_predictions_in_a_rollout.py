"""Predictions while a challenger is tried: who answers, what is logged, what may never happen."""

import pytest

from noria.api.predictions import Predictions
from noria.api.served_models import ServedModels
from noria.bundle.format import BUNDLE_FILE
from noria.errors import InvalidInputError
from noria.records.alias import Promotion, RolloutChange
from noria.records.evaluation import VersionFacts
from noria.registry.versions import write_version
from tests.support.fakes import MemoryAliases, MemoryArtifacts, MemoryLog, SteppingClock
from tests.support.trained import tiny_bundle


def _world(mode, fraction, *, damage=None):
    """Return predictions, their log and the aliases, with challenger v2."""
    artifacts, aliases, log = MemoryArtifacts(), MemoryAliases(), MemoryLog()
    write_version(artifacts, "p", "v1", tiny_bundle(), VersionFacts())
    files = dict(tiny_bundle(algorithm="ridge"))
    if damage == "corrupt":
        files[BUNDLE_FILE] = b"{}"
    if damage != "absent":
        write_version(artifacts, "p", "v2", files, VersionFacts())
    aliases.apply(Promotion("p", "id", "v1", 0, "manual", "", "me", "now"))
    aliases.apply(RolloutChange("p", "r", "v2", 1, mode, fraction, "", "me", "now"))
    models = ServedModels(artifacts, aliases, lambda: 0.0, lambda *_: None, SteppingClock())
    return Predictions(models, log, SteppingClock(), lambda *_: None), log


def _ask(predictions, n=400):
    return [
        predictions.predict("p", {"inputs": {"x": 2}, "record_id": f"r{i}"})["model_version"]
        for i in range(n)
    ]


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_a_canary_answers_its_share_and_the_same_records_always(fraction):
    """A stable hash: a record does not flicker between models."""
    predictions, log = _world("canary", fraction)
    first = _ask(predictions)
    assert first == _ask(predictions)
    assert first.count("v2") / len(first) == pytest.approx(fraction, abs=0.06)
    roles = {r["model_version"]: r["served_by"] for r in log.records}
    assert roles == {"v1": "champion", "v2": "challenger"}


def test_a_shadow_is_logged_and_never_answers():
    """Both records share the prediction id, so a label is one for both."""
    predictions, log = _world("shadow", 1.0)
    answer = predictions.predict("p", {"inputs": {"x": 2}})
    assert answer["model_version"] == "v1"
    assert [r["served_by"] for r in log.records] == ["champion", "shadow"]
    assert len({r["prediction_id"] for r in log.records}) == 1


@pytest.mark.parametrize("mode", ["canary", "shadow"])
@pytest.mark.parametrize("damage", ["corrupt", "absent"])
def test_a_challenger_that_cannot_be_loaded_fails_no_request(mode, damage):
    """The champion answers; the log says what the challenger could not."""
    predictions, log = _world(mode, 1.0, damage=damage)
    assert set(_ask(predictions, 20)) == {"v1"}
    failed = [r for r in log.records if r["prediction"] is None]
    assert len(failed) == 20
    assert {r["model_version"] for r in failed} == {"v2"}


@pytest.mark.parametrize("error", [ZeroDivisionError, MemoryError, InvalidInputError])
def test_a_challenger_that_raises_fails_no_request(error, monkeypatch):
    """Whatever it raises, even that the inputs are wrong, if the champion can read them."""
    predictions, log = _world("canary", 1.0)
    rollout = predictions._models.get("p").rollout

    def fail(*_args, **_kwargs):
        raise error("no") if error is not InvalidInputError else error("no", errors=[])

    monkeypatch.setattr(rollout.predictor, "answer", fail)
    assert set(_ask(predictions, 10)) == {"v1"}
    assert {r["failure"] for r in log.records if r["prediction"] is None} == {error.__name__}


def test_a_wrong_request_is_the_callers_fault_and_not_the_challengers():
    """Nothing is counted against it."""
    predictions, log = _world("canary", 1.0)
    with pytest.raises(InvalidInputError):
        predictions.predict("p", {"inputs": {"x": "no"}})
    assert not log.records


def test_a_true_label_travels_with_the_record():
    """Known at once: no feedback needed."""
    predictions, log = _world("off", 0.0)
    predictions.predict("p", {"inputs": {"x": 2}, "true_label": 5.5})
    assert log.records[0]["true_label"] == 5.5
    with pytest.raises(InvalidInputError, match="true_label"):
        predictions.predict("p", {"inputs": {"x": 2}, "true_label": [1]})


def test_columns_to_drop_leave_no_trace():
    """Not even their signals."""
    from tests.support.trained import COLUMN

    artifacts, aliases, log = MemoryArtifacts(), MemoryAliases(), MemoryLog()
    columns = {"x": {**COLUMN, "pii": "drop"}}
    write_version(artifacts, "p", "v1", tiny_bundle(columns=columns), VersionFacts())
    aliases.apply(Promotion("p", "id", "v1", 0, "manual", "", "me", "now"))
    models = ServedModels(artifacts, aliases, lambda: 0.0, lambda *_: None, SteppingClock())
    Predictions(models, log, SteppingClock(), lambda *_: None).predict("p", {"inputs": {"x": 2}})
    assert log.records[0]["inputs"] == {}
