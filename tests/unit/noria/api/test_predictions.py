import json

import pytest

from noria.api.predictions import MAX_BATCH_ROWS, Predictions
from noria.api.served_models import ServedModels
from noria.errors import InvalidInputError, ModelCorruptError, StoreUnavailableError
from noria.records.alias import Promotion
from noria.records.evaluation import VersionFacts
from noria.registry.versions import write_version
from tests.support.fakes import MemoryAliases, MemoryArtifacts, MemoryLog, SteppingClock
from tests.support.trained import tiny_bundle


@pytest.fixture
def log():
    return MemoryLog()


@pytest.fixture
def reported():
    return []


@pytest.fixture
def predictions(log, reported):
    return _serving(tiny_bundle(), log, reported)


def _serving(bundle, log, reported):
    artifacts, aliases = MemoryArtifacts(), MemoryAliases()
    write_version(artifacts, "p", "v1", bundle, VersionFacts())
    aliases.apply(Promotion("p", "id", "v1", 0, "manual", "", "me", "now"))
    models = ServedModels(artifacts, aliases, lambda: 0.0, lambda *_: None, SteppingClock())
    return Predictions(models, log, SteppingClock(), lambda *event: reported.append(event))


def test_an_answer_says_what_answered_when_and_how_fast(predictions):
    """Everything feedback and support need later."""
    answer = predictions.predict("p", {"inputs": {"x": 2}, "record_id": "T-1"})
    assert answer["value"] == 5.0
    assert answer["model_version"] == "v1"
    assert answer["record_id"] == "T-1"
    assert answer["latency_ms"] >= 0
    assert len(answer["prediction_id"]) == 36
    assert answer["at"].startswith("2026-01-01T")


def test_every_answer_is_logged_with_personal_data_masked(predictions, log):
    """The log knows the features' hash, not the person."""
    answer = predictions.predict("p", {"inputs": {"x": 2}})
    (record,) = log.records
    assert record["inputs"] == {"x": "***"}
    assert record["prediction_id"] == answer["prediction_id"]
    assert record["served_by"] == "champion"
    assert len(record["inputs_hash"]) == 16


def test_a_personal_record_id_is_logged_as_the_hash_that_its_label_is_filed_under(log, reported):
    """Readers of the log see no id; the caller does, and its label still finds the answer."""
    predictions = _serving(tiny_bundle(private=["record_id"]), log, reported)
    answer = predictions.predict("p", {"inputs": {"x": 2}, "record_id": "T-1"})
    store = MemoryArtifacts()
    predictions.feedback("p", {"record_id": "T-1", "label": 5.0}, store)
    ((record,), (filed,)) = log.records, store.objects.values()
    labels = json.loads(filed)["labels"]
    assert answer["record_id"] == "T-1"
    assert labels == [{"record_id": record["record_id"], "label": 5.0}]
    assert b"T-1" not in filed + json.dumps(record).encode()


def test_a_personal_true_label_is_refused_and_taken_as_feedback(log, reported):
    """It would lie in the log beside the inputs; nothing is dropped in silence."""
    predictions = _serving(tiny_bundle(private=["true_label"]), log, reported)
    with pytest.raises(InvalidInputError, match="send feedback"):
        predictions.predict("p", {"inputs": {"x": 2}, "true_label": 4.0})
    predictions.predict("p", {"inputs": {"x": 2}})
    assert len(log.records) == 1


def test_a_log_that_fails_is_reported_and_costs_no_prediction(predictions, log, reported):
    """The caller gets the answer; the operator gets the loss."""

    def fail(project, records):
        raise StoreUnavailableError("firehose is down")

    log.append = fail
    assert predictions.predict("p", {"inputs": {"x": 2}})["value"] == 5.0
    ((event, facts),) = reported
    assert (event, facts["n_records"]) == ("prediction_log_lost", 1)


@pytest.mark.parametrize("has_previous", [True, False])
def test_a_row_at_which_the_champion_fails_is_answered_by_the_previous_one(
    log, reported, has_previous
):
    """That row only; where there is no other version, the caller may try again later."""
    artifacts, aliases = MemoryArtifacts(), MemoryAliases()
    for revision, version in enumerate(["v0", "v1"] if has_previous else ["v1"]):
        write_version(artifacts, "p", version, tiny_bundle(), VersionFacts())
        aliases.apply(Promotion("p", version, version, revision, "manual", "", "me", "now"))

    def report(*event):
        reported.append(event)

    models = ServedModels(artifacts, aliases, lambda: 0.0, report, SteppingClock())
    predictions = Predictions(models, log, SteppingClock(), report)
    champion = models.get("p").predictor
    stock = champion.answer

    def failing(inputs, **settings):
        if inputs == {"x": 3}:
            raise KeyError("a table of the bundle")
        return stock(inputs, **settings)

    champion.answer = failing
    if has_previous:
        versions = [
            predictions.predict("p", {"inputs": {"x": x}})["model_version"] for x in (2, 3, 2)
        ]
        assert versions == ["v1", "v0", "v1"]
    else:
        with pytest.raises(ModelCorruptError, match="v1 fails at a row"):
            predictions.predict("p", {"inputs": {"x": 3}})
    assert [(event, facts["model_version"]) for event, facts in reported] == [
        ("model_refused", "v1")
    ]


def test_a_bad_item_fails_alone_and_order_is_kept(predictions, log):
    """The others are answered and logged."""
    items = [{"inputs": {"x": 1}}, {"inputs": {"x": "no"}}, {"inputs": {"x": 3}}, 7]
    answer = predictions.predict_batch("p", {"items": items})
    assert (answer["n_items"], answer["n_failed"]) == (4, 2)
    assert [r.get("value") for r in answer["results"]] == [3.0, None, 7.0, None]
    assert answer["results"][1]["errors"][0]["field"] == "x"
    assert [r["index"] for r in answer["results"]] == [0, 1, 2, 3]
    assert len(log.records) == 2


@pytest.mark.parametrize(
    "body",
    [
        None, [], {}, {"items": []}, {"items": [{}] * (MAX_BATCH_ROWS + 1)}, {"items": "x"},
        {"items": [{"inputs": {"x": 1}}], "more": 1},
    ],
    ids=["none", "list", "empty", "no items", "too many", "string", "unknown field"],
)  # fmt: skip
def test_a_batch_that_is_none_is_refused_whole(predictions, body):
    """Before any model is asked."""
    with pytest.raises(InvalidInputError):
        predictions.predict_batch("p", body)


@pytest.mark.parametrize(
    "item",
    [
        None, {}, {"inputs": {"x": 1}, "typo": 1}, {"inputs": {"x": 1}, "record_id": ""},
        {"inputs": {"x": 1}, "record_id": "x" * 101}, {"inputs": {"x": 1}, "record_id": 3},
    ],
    ids=["none", "empty", "typo", "empty id", "long id", "number id"],
)  # fmt: skip
def test_a_malformed_item_names_the_field(predictions, item):
    """Each with a reason."""
    with pytest.raises(InvalidInputError) as caught:
        predictions.predict("p", item)
    assert caught.value.details["errors"][0]["reason"]
