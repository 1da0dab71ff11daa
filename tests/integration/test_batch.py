"""Whole files on the embedded emulator: dropped, uploaded over the API, poisoned, killed, doubled."""

import csv
import io
import json
import os
import signal
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.batch import put_batch, released
from cli.samples.files import sample_files
from cli.training import follow_execution, new_run_id
from noria.batch.jobs import job_id_of
from noria.data.versions import decode_rows
from noria.monitoring.prediction_log import answers_to
from noria.storage.keys import (
    OUTCOME,
    QUARANTINE_REPORT,
    REPORT_HTML,
    REPORT_JSON,
    batch_check_id,
    batch_key,
    check_key,
    labels_file_key,
)
from tests.support.stages import workers_of
from tests.support.wheel import rows, train

PROJECT = "customers"


@pytest.fixture(scope="module", autouse=True)
def champion(target):
    """A champion of the customers, whichever algorithm it is of."""
    end = train(target, rows(3000, PROJECT), project=PROJECT, candidates=["logistic_regression"])
    assert end.output["outcome"] == "ChallengerPromoted", end.output
    return end.output["model_version"]


def _file(n_rows=300, seed=5):
    parts = [body for _, body in sample_files(PROJECT, n_rows=n_rows, seed=seed)]
    return parts[0] + b"".join(part.split(b"\n", 1)[1] for part in parts[1:])


def _drop(target, body, *, name="rows.csv", job_id=None):
    job_id = job_id or new_run_id()
    put_batch(target, PROJECT, job_id, name, body)
    return job_id


def _outcome(target, job_id, seconds=120.0):
    key, deadline = batch_key(PROJECT, job_id, OUTCOME), time.monotonic() + seconds
    while not target.artifacts.exists(key):
        assert time.monotonic() < deadline, "the batch does not end"
        time.sleep(0.2)
    return json.loads(target.artifacts.get(key))


def _answers(target, outcome):
    text = target.artifacts.get(outcome["result_key"]).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_a_dropped_file_is_answered_as_the_api_answers(target, champion):
    """Ids, order, decision, probability and worth: the same numbers, row by row."""
    body = _file()
    outcome = _outcome(target, _drop(target, body))
    assert outcome["outcome"] == "BatchCompleted"
    assert outcome["model_version"] == champion
    answers = _answers(target, outcome)
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    assert [answer["key_value"] for answer in answers] == [row["key_value"] for row in rows]
    assert [int(answer["line"]) for answer in answers] == list(range(2, 302))
    columns = target.call("GET", f"/projects/{PROJECT}/model").body["columns"]
    for row, answer in list(zip(rows, answers, strict=True))[:40]:
        inputs = {
            name: float(row[name]) if columns[name]["type"] == "number" else row[name]
            for name in columns
            if row.get(name)
        }
        said = target.call("POST", f"/projects/{PROJECT}/predict", {"inputs": inputs}).body
        assert answer["prediction"] == said["prediction"]
        assert float(answer["p_yes"]) == pytest.approx(said["probabilities"]["yes"], abs=1e-9)
        assert answer["band"] == (said["band"] or "")


def test_labels_of_a_file_say_how_good_its_answers_were(target, champion):
    """By its id column, from a file in the inbox; on the page, over the API, by record id."""
    body = _file(seed=8)
    job_id = _drop(target, body)
    assert _outcome(target, job_id)["outcome"] == "BatchCompleted"
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    lines = [f"{row['key_value']},{row['target']}\n" for row in rows]
    labels = "key_value,target\n" + "".join(lines) + "nobody,perhaps\n"
    source = f"labels-inbox/{PROJECT}/{new_run_id()}/labels.csv"
    target.artifacts.put(source, labels.encode())
    report = labels_file_key(PROJECT, source, QUARANTINE_REPORT)
    _eventually(lambda: target.artifacts.exists(report))
    found = json.loads(target.artifacts.get(report))
    assert (found["outcome"], found["n_labels"], found["n_refused"]) == ("LabelsRefused", 300, 1)
    message = {"project": PROJECT, "may_retrain": False}
    end = follow_execution(target, "MonitoringStateMachine", "labels", message, lambda *_: None)
    assert end.status == "SUCCEEDED", end.output
    shown = target.call("GET", f"/projects/{PROJECT}/batch-jobs/{job_id}").body
    measured = shown["performance"]["realised"]["roc_auc"]
    assert shown["performance"]["n_labels"] == measured["n_rows"] == 300
    assert 0.5 < measured["value"] <= 1.0
    page = batch_key(PROJECT, job_id, REPORT_HTML)
    said = b"Measured on 300 labels of these rows"
    _eventually(lambda: said in target.artifacts.get(page))  # by this check or the batch's own
    since = datetime.now(UTC) - timedelta(hours=2)
    record = rows[7]["key_value"]
    known = answers_to(target.artifacts, PROJECT, record, since, datetime.now(UTC))
    (answer,) = (answer for answer in known if answer.job.job_id == job_id)
    assert (answer.model_version, answer.line) == (champion, 9)


def test_a_file_that_waits_for_the_schedule_is_scored_once_however_often_it_comes(target):
    """By the function that the schedule calls, with its own rights."""
    key = f"batch-scheduled/{PROJECT}/waiting.csv"
    target.artifacts.put(key, _file(50, seed=12))
    functions = target.client("lambda")
    listed = functions.get_paginator("list_functions").paginate()
    names = [f["FunctionName"] for page in listed for f in page["Functions"]]
    (name,) = [name for name in names if "startbatches" in name.lower()]
    asked = json.dumps({"project": PROJECT}).encode()
    said = [json.loads(functions.invoke(FunctionName=name, Payload=asked)["Payload"].read())
            for _ in range(2)]  # fmt: skip
    assert said == [{"n_started": 1, "n_known": 0}, {"n_started": 0, "n_known": 1}]
    (file,) = target.artifacts.under(key)
    event = f"{file.modified_at.isoformat()}-{file.n_bytes}"
    job_id = job_id_of(target.artifacts, PROJECT, key, event)
    outcome = _outcome(target, job_id)
    assert (outcome["outcome"], outcome["counts"]["n_answered"]) == ("BatchCompleted", 50)


def test_the_api_gives_a_place_to_upload_and_links_to_the_results(target):
    """PUT, poll, GET; a limit makes it a try."""
    asked = target.call(
        "POST", f"/projects/{PROJECT}/batch-jobs", {"filename": "x.csv", "limit": 25}
    )
    assert asked.status == 200, asked.body
    place = f"/projects/{PROJECT}/batch-jobs/{asked.body['job_id']}"
    assert target.call("GET", place).body["state"] == "waiting_for_file"
    request = urllib.request.Request(asked.body["upload"]["url"], data=_file(), method="PUT")
    urllib.request.urlopen(request).close()
    _outcome(target, asked.body["job_id"])
    shown = target.call("GET", place).body
    assert (shown["state"], shown["progress"], shown["counts"]["n_rows"]) == ("completed", 1.0, 25)
    with urllib.request.urlopen(shown["links"]["result"]) as answer:
        assert len(list(csv.DictReader(io.TextIOWrapper(answer)))) == 25


def test_a_job_that_is_not_there_is_404_and_a_bad_request_422(target):
    """With the field and the reason."""
    assert target.call("GET", f"/projects/{PROJECT}/batch-jobs/nowhere").status == 404
    bad = target.call("POST", f"/projects/{PROJECT}/batch-jobs", {"filename": "../x.exe"})
    assert (bad.status, bad.body["errors"][0]["field"]) == (422, "filename")


def test_poison_doubled_events_and_killed_parts_lose_and_double_nothing(target):
    """200,000 rows in ten parts, 1 % poison, five events, six kills: every good row once, every
    bad row in the file of refused ones with its reason."""
    lines = _file(200_000, seed=6).splitlines(keepends=True)
    bad = set(range(100, 200_000, 100))
    for number in bad:
        lines[number] = [b"a,b\n", b'"never closed' + lines[number], b"\xff" + lines[number]][
            number // 100 % 3
        ]
    body, job_id = b"".join(lines), new_run_id()
    for _ in range(5):  # five events of one file
        _drop(target, body, job_id=job_id)
    _kill_scorers(target, job_id, n=6)
    outcome = _outcome(target, job_id, seconds=600.0)
    assert outcome["outcome"] == "BatchCompleted", outcome["summary"]
    answered = [int(answer["line"]) for answer in _answers(target, outcome)]
    refused = decode_rows(target.artifacts.get(outcome["refused_key"]))
    assert answered == sorted(set(range(2, 200_002)) - {n + 1 for n in bad})
    assert {row["line"] for row in refused} == {n + 1 for n in bad}
    assert len(refused) == len(bad)
    assert all(row["errors"][0]["reason"] for row in refused)


def _kill_scorers(target, job_id, n):
    """Kill workers at work, the oldest first: two, then one more for each part that is done.

    Faster, one part would lose its worker more often than its state machine tries again.
    """
    killed, deadline = [], time.monotonic() + 300.0
    answers = batch_key(PROJECT, job_id, "answers/")
    while len(killed) < n:
        assert time.monotonic() < deadline, killed
        assert not target.artifacts.exists(batch_key(PROJECT, job_id, OUTCOME)), killed
        n_done = sum(1 for _ in target.artifacts.under(answers))
        left = sorted(set(workers_of(target.emulator.folder, "score_part")) - set(killed))
        busy = [pid for pid in left if _is_busy(pid)]
        if busy and len(killed) <= n_done + 1:
            os.kill(busy[0], signal.SIGKILL)
            killed.append(busy[0])
        time.sleep(0.05)


def _is_busy(pid):
    """Return whether a process uses a processor now: one that waits for an event does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state == "R"


def test_a_file_that_cannot_be_scored_is_refused_with_the_reason(target):
    """Nothing starts; the champion and other jobs do not notice."""
    outcome = _outcome(target, _drop(target, b"a,b\n1,2\n"))
    assert outcome["outcome"] == "BatchRejected"
    assert "columns" in outcome["summary"]


def test_a_file_that_has_drifted_is_held_opens_one_incident_and_is_weighed_as_a_check(target):
    """Its own check: a verdict before the results, a decision and an alert after it; a release."""
    lines = _file(2000, seed=8).splitlines(keepends=True)
    place = lines[0].decode().strip().split(",").index("monto")
    moved = [lines[0]]
    for line in lines[1:]:
        cells = line.decode().split(",")
        cells[place] = str(float(cells[place] or 0.0) * 20.0 + 5e4)
        moved.append(",".join(cells).encode())
    job_id = _drop(target, b"".join(moved))
    outcome = _outcome(target, job_id)
    assert (outcome["outcome"], outcome["health"]) == ("BatchHeld", "unhealthy")
    assert outcome["result_key"] is None
    assert "monto" in outcome["drifted"]
    shown = target.call("GET", f"/projects/{PROJECT}/batch-jobs/{job_id}").body
    assert (shown["health"], shown["drifted"]) == ("unhealthy", outcome["drifted"])
    check = _check(target, job_id)
    assert (check["drift"]["job_id"], check["health"]) == (job_id, "unhealthy")
    assert check["retraining"]["against"][0]["code"] == "no_new_rows"
    page = target.artifacts.get(batch_key(PROJECT, job_id, "report.html")).decode()
    assert "these rows differ from training in" in page
    _eventually(lambda: _is_told(target, "batch"))  # after the report
    published = released(target, PROJECT, job_id)
    assert published["outcome"] == "BatchCompleted"
    assert len(_answers(target, published)) == 2000
    usual = _drop(target, _file(2000, seed=9))
    assert _outcome(target, usual)["health"] == "healthy"
    assert _check(target, usual)["health"] == "healthy"
    _eventually(lambda: not _is_told(target, "batch"))


def _check(target, job_id):
    """Return the report of a job's check, once it is there."""
    key = check_key(PROJECT, batch_check_id(job_id), REPORT_JSON)
    _eventually(lambda: target.artifacts.exists(key))
    return json.loads(target.artifacts.get(key))


def _eventually(happens, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.2)


def _is_told(target, incident):
    found = target.client("dynamodb").get_item(
        TableName=target.outputs["AliasTable"],
        Key={"pk": {"S": f"claims#{PROJECT}"}, "sk": {"S": f"alert#{incident}"}},
    )
    return "Item" in found


def test_results_that_are_held_back_are_published_by_a_release(target):
    """By the machine, from the parts; a second release says that there is nothing to release."""
    job_id = _drop(target, _file(500, seed=10))
    outcome = _outcome(target, job_id)
    body = target.artifacts.get(outcome["result_key"])
    target.artifacts.put(outcome["result_key"], b"")
    held = {**outcome, "outcome": "BatchHeld", "result_key": None}
    target.artifacts.put(batch_key(PROJECT, job_id, OUTCOME), json.dumps(held).encode())
    shown = target.call("GET", f"/projects/{PROJECT}/batch-jobs/{job_id}").body
    assert shown["state"] == "held"
    published = released(target, PROJECT, job_id)
    assert (published["outcome"], published["result_key"]) == (
        "BatchCompleted",
        outcome["result_key"],
    )
    assert target.artifacts.get(outcome["result_key"]) == body
    with pytest.raises(ValueError, match="is not held back"):
        released(target, PROJECT, job_id)
    with pytest.raises(ValueError, match="no batch job"):
        released(target, PROJECT, "nowhere")
