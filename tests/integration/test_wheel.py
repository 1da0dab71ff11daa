"""The wheel, whole, on the embedded emulator: rows in, a champion, answers over HTTP."""

import csv
import gzip
import json
import threading
import time
import urllib.error
import urllib.request

import pytest

from cli.batch import put_batch
from cli.samples.files import sample_files
from cli.training import upload
from infra.local.emulator import LAYERS
from infra.local.limits import WORKERS
from noria.access.keys import digest_of
from noria.storage.keys import OUTCOME, batch_key, model_key
from tests.benchmarks.load import load
from tests.support.stages import workers_of
from tests.support.wheel import PROJECT, noisy_rows, promote, rows, train

ROW = {"text": "The kitchen got my order wrong twice. Never again.", "average_stars": 2.1}
TICKET = {"short_description": "no puedo iniciar sesión, la contraseña está vencida"}


def _predict(target, row=ROW, project=PROJECT, **more):
    return target.call("POST", f"/projects/{project}/predict", {"inputs": row, **more})


@pytest.fixture(scope="module")
def before_training(target):
    """What the API says while there is no champion."""
    deadline = time.monotonic() + 30.0
    while (answer := _predict(target)).status != 503:  # it knew the champion of another module
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return answer, target.call("GET", "/health")


@pytest.fixture(scope="module")
def first(target, before_training):
    """The first training run, on few and noisy rows."""
    return train(target, noisy_rows())


def test_without_a_champion_predict_is_503_and_health_says_why(before_training):
    """Degraded, with the reason and what to do."""
    answer, health = before_training
    assert (answer.status, answer.body["status"]) == (503, 503)
    assert "noria train messages" in answer.body["detail"]
    assert health.body["status"] == "degraded"
    assert "no champion" in health.body["projects"][PROJECT]["reason"]


def test_the_first_good_model_is_promoted_and_answers(target, first):
    """Prediction, probabilities, version, id, latency."""
    assert first.status == "SUCCEEDED", first.output
    assert first.output["outcome"] == "ChallengerPromoted"
    answer = _predict(target, record_id="T-7").body
    assert answer["prediction"] in {"negative", "neutral", "positive"}
    assert abs(sum(answer["probabilities"].values()) - 1) < 1e-9
    assert answer["model_version"] == first.output["model_version"]
    assert answer["record_id"] == "T-7"
    assert answer["latency_ms"] < 100


@pytest.fixture(scope="module")
def tickets_end(target):
    """Three algorithms searched side by side, on few rows."""
    chosen = ["logistic_regression", "lightgbm", "svm"]
    return train(target, rows(150, "tickets"), project="tickets", candidates=chosen)


@pytest.mark.usefixtures("tickets_end")
def test_tickets_work_from_their_spec_alone(target, tickets_end):
    """Spanish text; the explanation comes with the answer."""
    assert tickets_end.output["outcome"] == "ChallengerPromoted"
    answer = _predict(target, TICKET, "tickets", explain=3).body
    assert answer["prediction"] == "0"
    assert len(answer["explanation"]["contributions"]) == 3


def test_housing_works_from_its_spec_alone(target):
    """Regression, from the same engine; a value outside the seen range is said."""
    chosen = ["ridge", "gradient_boosting", "xgboost_important"]
    end = train(target, sample_files("housing"), project="housing", candidates=chosen)
    assert end.output["outcome"] == "ChallengerPromoted"
    row = dict(zip("CRIM NOX RM AGE DIS RAD TAX PTRATIO B LSTAT".split(),
                   [0.01, 0.5, 6.5, 65, 4.1, 1, 296, 15.3, 396.9, 5], strict=True))  # fmt: skip
    answer = _predict(target, row, "housing")
    assert answer.status == 200
    assert 15 < answer.body["value"] < 40
    assert "RM" in str(_predict(target, row | {"RM": 9.5}, "housing").body["warnings"])


def test_customers_work_from_their_spec_alone(target):
    """Columns found in the files; the answer is worth money."""
    end = train(target, rows(3000, "customers"), project="customers")
    assert end.output["outcome"] == "ChallengerPromoted"
    *_, (_, body) = sample_files("customers", n_rows=20)
    row = next(csv.DictReader(body.decode().splitlines()))
    known = target.call("GET", "/projects/customers/model").body["columns"]
    inputs = {
        name: float(value) if known[name]["type"] == "number" else value
        for name, value in row.items()
        if name in known
    }
    answer = _predict(target, {**inputs, "monto": 25000, "typo": 1}, "customers").body
    assert answer["business_value"] > 0
    assert answer["band"] in {"low", "medium", "high"}
    assert answer["warnings"][-1]["reason"] == "ignored, the model does not read: typo"
    few = _predict(target, {"segmento": "premium", "monto": 25000}, "customers")
    assert few.status == 422
    assert "may be filled in" in few.body["detail"]


def test_the_report_of_a_run_is_one_file_that_needs_no_network(target, first):
    """The output names it; the twin beside it says the same to programs."""
    key = first.output["report"]
    page = target.artifacts.get(key).decode()
    assert page.startswith("<!doctype html>")
    assert 'src="http' not in page
    twin = json.loads(target.artifacts.get(key.replace("report.html", "report.json")))
    assert twin["selection"]["challenger"] in page


@pytest.mark.usefixtures("first")
def test_rows_that_the_champion_has_learned_from_do_not_judge_it(target):
    """The same rows again: it was fitted on all of them, so there is no comparison."""
    end = train(target, noisy_rows())
    assert end.output["outcome"] == "ChampionKept"
    assert "0 test rows that the champion has not trained on" in end.output["summary"]
    evaluation = end.output["evaluation"]
    assert (evaluation["interval_low"], evaluation["interval_high"]) == (None, None)


@pytest.mark.usefixtures("first")
def test_what_serves_is_the_refit_and_names_the_version_that_was_evaluated(target, first):
    """By the deployed machine: messages are split by time."""
    lineages = {}
    for version in (first.output["model_version"], None):
        key = model_key(PROJECT, version or lineages["served"]["evaluated_as"], "manifest.json")
        lineages["served" if version else "judged"] = json.loads(target.artifacts.get(key))[
            "lineage"
        ]
    assert lineages["judged"]["evaluated_as"] is None
    assert lineages["served"]["run_id"] == lineages["judged"]["run_id"]
    assert lineages["served"]["dataset_version"] != lineages["judged"]["dataset_version"]


@pytest.mark.usefixtures("first")
def test_shuffled_labels_are_refused(target):
    """The gate, by a training that an admin starts over the API and looks at until it ends."""
    before = target.aliases.read(PROJECT)
    keys = upload(target, PROJECT, rows(seed=5, shuffle_labels=True))
    place, asked = f"/projects/{PROJECT}/trainings", {"files": keys, "run_id": "shuffled"}
    assert target.call("POST", place, asked).status == 403
    for _ in range(2):  # the same run
        started = target.call("POST", place, asked, scope="admin")
        assert (started.status, started.body["run_id"]) == (200, "shuffled"), started.body
    shown = _ended(target, f"{place}/shuffled")
    assert (shown["status"], shown["outcome"]) == ("succeeded", "ChallengerRefused")
    assert target.artifacts.exists(shown["report"])
    assert target.aliases.read(PROJECT) == before
    assert target.call("GET", f"{place}/none", scope="admin").status == 404


def _ended(target, place, seconds=300.0):
    """Return how a run that was started over the API ended."""
    deadline, states = time.monotonic() + seconds, set()
    while (shown := target.call("GET", place, scope="admin").body)["status"] == "running":
        assert time.monotonic() < deadline, shown
        states.add(shown.get("state"))
        time.sleep(0.5)
    assert states  # it was seen on its way
    return shown


@pytest.mark.usefixtures("first")
def test_an_admin_checks_promotes_and_rolls_back_over_the_api(target):
    """With the caller's key in the history; a version that is not there changes nothing."""
    started = target.call("POST", f"/projects/{PROJECT}/monitoring/checks", scope="admin").body
    shown = _ended(target, f"/projects/{PROJECT}/monitoring/checks/{started['check_id']}")
    assert (shown["status"], shown["health"]) == ("succeeded", "insufficient_data"), shown
    before = target.aliases.read(PROJECT)
    run_id = train(target, rows(seed=9)).output["run_id"]
    version = next(
        key.split("/")[2]
        for key in (found.key for found in target.artifacts.under(f"models/{PROJECT}/{run_id}"))
        if key.endswith("/manifest.json")
    )
    place = f"/projects/{PROJECT}/promotions"
    unknown = {"model_version": "nothing", "reason": "r"}
    assert target.call("POST", place, unknown, scope="admin").status == 422
    asked = {"model_version": version, "reason": "tried by hand"}
    moved = target.call("POST", place, asked, scope="admin")
    assert (moved.status, moved.body["champion"]) == (200, version), moved.body
    back = {"from": version, "to": before.champion, "reason": "back again"}
    moved = target.call("POST", f"/projects/{PROJECT}/rollback", back, scope="admin")
    assert moved.body["champion"] == before.champion
    newest, promoted = target.aliases.history(PROJECT, limit=2)
    key = digest_of(target.api_key("admin"))[:12]
    actor = f"key {key} (local admin)"
    assert [(e.kind, e.actor, e.reason) for e in (promoted, newest)] == [
        ("manual", actor, "tried by hand"), ("rollback", actor, "back again"),
    ]  # fmt: skip
    asked, done = target.audit_log.before(None, 2)[::-1]
    assert (asked.operation, asked.outcome, asked.actor) == ("roll_back", "asked", actor)
    assert (done.before.champion, done.after.champion) == (version, before.champion)


@pytest.mark.usefixtures("first")
def test_a_bad_dataset_is_rejected_with_its_report(target):
    """A business answer, not a failure; the rows are kept."""
    end = train(target, [("rows.csv", b"review_id,stars\n1,5\n")])
    assert (end.status, end.output["outcome"]) == ("SUCCEEDED", "DatasetRejected")
    assert "columns ['date', 'text'] are missing" in end.output["summary"]


def test_an_unknown_project_fails_with_the_errors_own_name(target):
    """Step Functions sees the class name, as on AWS."""
    end = train(target, [("rows.csv", b"a\n1\n")], project="nobody")
    assert (end.status, end.output["error"]) == ("FAILED", "UnknownProjectError")


@pytest.mark.usefixtures("first")
def test_a_new_champion_serves_within_30_s_and_a_broken_one_never(target):
    """No failed request in between, and rollback is one write."""
    good = target.aliases.read(PROJECT).champion
    broken = "broken-version"
    files = json.loads(target.artifacts.get(model_key(PROJECT, good, "manifest.json")))
    target.artifacts.put(
        model_key(PROJECT, broken, "manifest.json"), json.dumps(files).encode(), if_absent=True
    )
    answers, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            answers.append(_predict(target))
            time.sleep(0.05)

    asking = threading.Thread(target=ask)
    asking.start()
    promote(target, broken)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        health = target.call("GET", "/health").body["projects"][PROJECT]
        if health["status"] == "degraded":
            break
        time.sleep(0.5)
    promote(target, good)
    while time.monotonic() < deadline:
        recovered = target.call("GET", "/health").body["projects"][PROJECT]
        if recovered["status"] == "ok":
            break
        time.sleep(0.5)
    stop.set()
    asking.join()
    assert f"{broken} was refused" in health["reason"]
    assert recovered == {"status": "ok", "reason": None, "model_version": good}
    assert {answer.status for answer in answers} == {200}
    assert {answer.body["model_version"] for answer in answers} == {good}


@pytest.mark.usefixtures("first")
def test_clients_at_once_are_all_answered_and_logged_by_few_workers(target):
    """What comes above the workers waits; a chunk of the log holds many records."""
    done = load(target, PROJECT, ROW, 8, 25)
    assert (done.n_answered, done.n_logged, done.n_sent) == (200, 200, 200)
    for step in ("prediction_predict", "profile_log_chunk"):
        assert 1 <= len(workers_of(target.emulator.folder, step)) <= WORKERS


@pytest.mark.usefixtures("first")
def test_a_batch_answers_good_items_and_names_bad_ones(target):
    """Order kept, at most 100."""
    items = [{"inputs": ROW}, {"inputs": {"typo": 1}}, {"inputs": ROW, "record_id": "b"}]
    answer = target.call("POST", "/projects/messages/predict/batch", {"items": items})
    assert (answer.status, answer.body["n_failed"]) == (200, 1)
    assert answer.body["results"][1]["errors"] == [
        {"field": "text", "reason": "required, but missing"}
    ]
    too_many = target.call("POST", "/projects/messages/predict/batch", {"items": items * 40})
    assert too_many.status == 422


@pytest.mark.usefixtures("first")
@pytest.mark.usefixtures("first")
def test_a_file_of_reviews_is_joined_with_the_newest_tables_of_the_inbox(target):
    """Those that the training was given: whoever scores gives the reviews alone."""
    files = dict(sample_files(PROJECT, n_rows=300, seed=21))
    (reviews,) = [name for name in files if "user" not in name and "business" not in name]
    put_batch(target, PROJECT, "reviews", reviews, files[reviews])
    key, deadline = batch_key(PROJECT, "reviews", OUTCOME), time.monotonic() + 120.0
    while not target.artifacts.exists(key):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    outcome = json.loads(target.artifacts.get(key))
    assert (outcome["outcome"], outcome["without_tables"]) == ("BatchCompleted", [])
    assert [name.rpartition("/")[2] for name in outcome["tables"]] == sorted(
        (name for name in files if name != reviews), reverse=True
    )


def test_scopes_and_problems_over_http(target):
    """No key 401, user key on an admin route 403, unknown project 404, bad row 422."""
    assert target.call("GET", "/projects/messages/history").status == 403
    history = target.call("GET", "/projects/messages/history", scope="admin")
    assert history.body["promotions"][-1]["revision"] == 1
    assert target.call("GET", "/projects/nobody/model").status == 404
    bad = _predict(target, {"average_stars": "many"})
    fields = {error["field"] for error in bad.body["errors"]}
    assert (bad.status, fields) == (422, {"text", "average_stars"})
    assert target.call("GET", "/projects/messages/model").body["classes"] == [
        "negative",
        "neutral",
        "positive",
    ]
    request = urllib.request.Request(f"{target.api_url}/health")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    problem, headers = json.loads(caught.value.read()), caught.value.headers
    assert (caught.value.code, problem["title"]) == (401, "An API key is required")
    assert problem["detail"] == "send the header x-api-key, with a key that is good"
    assert headers["www-authenticate"] == 'ApiKey realm="noria"'
    assert problem["instance"] == f"urn:noria:request:{headers['x-request-id']}"


@pytest.mark.usefixtures("tickets_end")
def test_predictions_reach_the_log_by_project_and_time_with_personal_data_masked(target):
    """Each answer, once."""
    answer = _predict(target, TICKET, "tickets").body
    client, bucket = target.client("s3"), target.outputs["DataBucket"]
    deadline = time.monotonic() + 10
    records = {}
    while answer["prediction_id"] not in records and time.monotonic() < deadline:
        found = client.list_objects_v2(Bucket=bucket, Prefix="predictions/tickets/")
        for item in found.get("Contents", []):
            body = target.artifacts.get(item["Key"])
            text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
            for line in text.splitlines():
                records[json.loads(line)["prediction_id"]] = json.loads(line)
    record = records[answer["prediction_id"]]
    assert record["inputs"] == {"short_description": "***"}
    assert record["model_version"] == answer["model_version"]


@pytest.mark.usefixtures("first")
def test_layers_are_unpacked_once(target):
    """As AWS mounts them, not once per worker: the functions' processes hold none of their own."""
    assert any(LAYERS.iterdir())
    assert not list((target.emulator.folder / "work").rglob("sklearn"))


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize(("n_rows", "seed"), [(500, 11), (300, 0)], ids=["new rows", "known rows"])
def test_a_champion_is_recalibrated_on_new_rows_or_trained_anew(target, n_rows, seed):
    """By the deployed machine: rows that it was trained on teach its probabilities nothing."""
    champion, entered = target.aliases.read(PROJECT).champion, []
    files = rows(n_rows, seed=seed) if seed else noisy_rows()
    if not seed:
        train(target, files, run_id="known")
    end = train(
        target, files, recalibrates=True, follow=lambda state, what, _: entered.append(state)
    )
    assert end.status == "SUCCEEDED", end.output
    assert "RecalibrateChampion" in entered
    assert ("TrainCandidates" in entered) == (seed == 0)
    told = "trained, not recalibrated: messages: 0 labelled rows are new to the champion"
    assert end.output["summary"].startswith(told) == (seed == 0), end.output
    manifest = json.loads(target.artifacts.get(model_key(PROJECT, end.output["model_version"], "manifest.json")))  # fmt: skip
    expected = champion if seed else None
    assert manifest["lineage"]["recalibrated_from"] == expected
