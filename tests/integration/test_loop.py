"""The loop on the embedded emulator: log, labels, checks, rollout, bad challengers, alerts."""

import json
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import pytest

from cli.simulation import SimulatedTime, simulate_project
from cli.training import follow_execution, new_run_id, start_once
from cli.world import SimulationSettings, World
from infra.names import SPECS
from noria.bundle.format import BUNDLE_FILE, pack, unpack
from noria.data.versions import decode_rows
from noria.records.alias import Promotion, RolloutChange
from noria.records.approval import PendingApproval
from noria.records.codec import from_bytes
from noria.records.evaluation import VersionFacts
from noria.registry.versions import read_manifest, write_version
from noria.spec.loader import load_spec
from noria.storage.keys import APPROVAL, REFERENCE, model_key
from tests.support.wheel import rows, train

PROJECT = "customers"


@pytest.fixture(scope="module")
def champion(target):
    """A champion of a quick project."""
    record = target.aliases.read(PROJECT)
    if record.champion is None:
        files = rows(3000, PROJECT)
        end = train(target, files, project=PROJECT, candidates=["logistic_regression"])
        assert end.output["outcome"] == "ChallengerPromoted", end.output
        record = target.aliases.read(PROJECT)
    return record.champion


@lru_cache
def _inputs():
    """Return a day's requests of both classes."""
    settings = SimulationSettings(
        days=1, drift_day=9, drift=0.0, rows_per_hour=10, label_delay_hours=0, seed=1
    )
    return [
        row for row, _ in World(PROJECT, load_spec(SPECS / f"{PROJECT}.toml"), settings).rows(0)
    ]


def _ask(target, n=20):
    items = [
        {"inputs": inputs, "record_id": f"r{number}"} for number, inputs in enumerate(_inputs()[:n])
    ]
    return target.call("POST", f"/projects/{PROJECT}/predict/batch", {"items": items})


def _eventually(look, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
    return found


def test_answers_become_profiles_and_labels_find_them(target, champion):
    """Request, Firehose, S3, event, profile; then feedback twice; then a check."""
    answer = _ask(target)
    assert answer.status == 200
    ids = [result["prediction_id"] for result in answer.body["results"]]

    def filed():
        prefix = f"answers/{PROJECT}/"
        rows = [
            r
            for o in target.artifacts.under(prefix)
            for r in decode_rows(target.artifacts.get(o.key))
        ]
        return {row["prediction_id"] for row in rows} >= set(ids)

    _eventually(filed)
    assert list(target.artifacts.under(f"profiles/{PROJECT}/{champion}/"))
    labels = {"labels": [{"prediction_id": key, "label": "no"} for key in ids]}
    for _ in range(2):
        assert target.call("POST", f"/projects/{PROJECT}/feedback", labels).body["n_labels"] == 20
    end = follow_execution(
        target, "MonitoringStateMachine", f"c-{ids[0][:8]}", {"project": PROJECT, "may_retrain": False},
        lambda *_: None,
    )  # fmt: skip
    assert end.status == "SUCCEEDED", end.output
    performance = target.call("GET", f"/projects/{PROJECT}/monitoring/performance").body
    assert performance["n_labels"] >= 20
    assert (
        target.call("GET", f"/projects/{PROJECT}/monitoring/metrics").body["total_predictions"]
        >= 20
    )
    assert "ingreso_mensual" in target.call("GET", f"/projects/{PROJECT}/monitoring/features").body["features"]  # fmt: skip
    drift = target.call("GET", f"/projects/{PROJECT}/monitoring/drift").body
    assert target.artifacts.get(drift["report_key"]).startswith(b"<!doctype html>")


def test_a_project_without_a_check_says_so(target):
    """404 with what to do; a bad baseline is 422, another scope 403."""
    answer = target.call("GET", "/projects/tickets/monitoring/drift")
    assert (answer.status, "noria monitor tickets" in answer.body["detail"]) == (404, True)
    path = f"/projects/{PROJECT}/monitoring/baseline"
    assert target.call("POST", path, {"hours": 24}).status == 403
    assert target.call("POST", path, {"hours": 0}, scope="admin").status == 422


def _register(target, champion, name, *, damage=None):
    """Register a copy of the champion, made bad."""
    manifest = read_manifest(target.artifacts, PROJECT, champion)
    files = {n: target.artifacts.get(model_key(PROJECT, champion, n)) for n in manifest.files}
    if damage:
        damage(files)
    version = f"{name}-{new_run_id()}"
    facts = VersionFacts(manifest.created_at, manifest.lineage)
    write_version(target.artifacts, PROJECT, version, files, facts)
    return version


def _one_class(files):
    document = json.loads(files[BUNDLE_FILE])
    document["decision_weights"] = [0.0, 1.0]
    files[BUNDLE_FILE] = json.dumps(document).encode()


def _broken(files):
    document = json.loads(files[BUNDLE_FILE])
    document["columns"]["ingreso_mensual"]["min"] = 1e9  # it refuses what the champion answers
    files[BUNDLE_FILE] = json.dumps(document).encode()


def _slow(files):
    """It reads a column three hundred thousand times, and weighs it with nothing."""
    document, arrays = unpack(files)
    n = 300_000
    block = {"name": "slow", "kind": "numeric", "columns": ["edad"] * n, "by": None, "groups": {}}
    numbers = {"fill": [0.0] * n, "center": [0.0] * n, "scale": [1.0] * n}
    document["feature_view"]["blocks"].append(block | numbers)
    if document["model"]["form"] == "linear":
        arrays["coefficients"].extend([0.0] * n)
    kept = {name: part for name, part in arrays.items() if not name.startswith("$")}
    files |= pack(document, kept)


@pytest.mark.parametrize(
    ("damage", "said"),
    [(_broken, "could not answer"), (_one_class, "it answers"), (_slow, "95th percentile")],
    ids=["errors", "one class", "slow"],
)
def test_a_bad_challenger_is_taken_back_and_no_request_fails(target, champion, damage, said):
    """The real state machine, on the clock of the stage; every request is answered."""
    champion = target.aliases.read(PROJECT).champion
    version = _register(target, champion, "bad", damage=damage)
    assert REFERENCE in json.loads(target.artifacts.get(model_key(PROJECT, version, "manifest.json")))["files"]  # fmt: skip
    start = datetime.now(UTC)
    with SimulatedTime(target, start) as clock:
        revision = target.aliases.read(PROJECT).revision
        message = {"project": PROJECT, "run_id": "bad", "model_version": version,
                   "expected_revision": revision, "reason": "test", "report": None}  # fmt: skip
        client = target.client("stepfunctions")
        arn = start_once(client, target.outputs["RolloutStateMachine"], version, message)
        _eventually(lambda: target.aliases.read(PROJECT).challenger == version)
        statuses = set()
        for step in range(16):
            clock.set(start + timedelta(minutes=20 * (step + 1)))
            answer = _ask(target, 20)
            statuses.add(answer.status)
            assert answer.body["n_failed"] == 0
        _eventually(
            lambda: list(target.artifacts.under(f"profiles/{PROJECT}/{version}/")), seconds=60
        )

        def ended():
            clock.set(clock.now + timedelta(hours=1))
            described = client.describe_execution(executionArn=arn)
            return described["status"] != "RUNNING" and described

        found = _eventually(ended, seconds=60)
    assert statuses == {200}
    output = json.loads(found["output"])
    assert (output["outcome"], said in output["summary"]) == ("RolloutReverted", True), output
    record = target.aliases.read(PROJECT)
    assert (record.champion, record.challenger) == (champion, None)


def _asking_for_approval(target):
    """Deploy the rollout once more, as it is when a spec says `approval = "required"`."""
    client = target.client("stepfunctions")
    found = client.describe_state_machine(stateMachineArn=target.outputs["RolloutStateMachine"])
    definition = json.loads(found["definition"])
    needs = {"needs_approval": True, "approval_seconds": 600}
    assign = definition["States"]["AdvanceRollout"]["Assign"]
    assign["rollout"] = f"{{% $merge([$states.result, {json.dumps(needs)}]) %}}"
    return client.create_state_machine(
        name="with-approval", definition=json.dumps(definition), roleArn=found["roleArn"]
    )["stateMachineArn"]


def test_a_good_challenger_passes_every_step_and_is_promoted_once_it_is_approved(target, champion):
    """The execution waits with its token; nothing is promoted before."""
    record = target.aliases.read(PROJECT)
    version = _register(target, record.champion, "good")
    client, start = target.client("stepfunctions"), datetime.now(UTC)
    with SimulatedTime(target, start) as clock:
        message = {"project": PROJECT, "run_id": "good", "model_version": version,
                   "expected_revision": record.revision, "reason": "test", "report": None}  # fmt: skip
        arn = start_once(client, _asking_for_approval(target), version, message)

        def waiting():
            clock.set(clock.now + timedelta(minutes=30))
            assert _ask(target, 20).body["n_failed"] == 0
            assert target.aliases.read(PROJECT).champion == record.champion
            body = target.state.read(PROJECT, APPROVAL).body
            return body and from_bytes(PendingApproval, body)

        pending = _eventually(waiting, seconds=120)
        assert pending.model_version == version
        place = f"/projects/{PROJECT}/approval"
        answer = target.call(
            "POST", place, {"approve": True, "model_version": version}, scope="admin"
        )
        assert (answer.status, answer.body["model_version"]) == (200, version), answer.body

        def ended():
            found = client.describe_execution(executionArn=arn)
            return found["status"] != "RUNNING" and found

        end = _eventually(ended)
    assert json.loads(end["output"])["outcome"] == "ChallengerPromoted", end
    after = target.aliases.read(PROJECT)
    assert (after.champion, after.previous_champion) == (version, record.champion)
    body = {"approve": False, "model_version": version}
    late = target.call("POST", place, body, scope="admin")
    assert (late.status, late.body["title"]) == (409, "No rollout waits for an approval")


def _reversed(files):
    """It ranks customers the other way round."""
    document, arrays = unpack(files)
    for name in ("coefficients", "intercepts"):
        arrays[name] = type(arrays[name])("d", [-value for value in arrays[name]])
    kept = {name: part for name, part in arrays.items() if not name.startswith("$")}
    files |= pack(document, kept)


def test_a_new_champion_that_is_worse_in_life_is_taken_back_and_told_once(target, champion):
    """It had passed the gate; the one before answers the same requests, and labels compare both."""
    record = target.aliases.read(PROJECT)
    before, bad = record.champion, _register(target, record.champion, "worse", damage=_reversed)
    now = datetime.now(UTC)
    promotion = Promotion(
        PROJECT, f"training-{bad}", bad, record.revision, "training", "r", "t", now.isoformat()
    )
    until = (now + timedelta(hours=72)).isoformat()
    revision = target.aliases.apply(promotion).revision
    target.aliases.apply(
        RolloutChange(PROJECT, f"probation-of-{bad}", before, revision, "shadow", 1.0, "r", "t",
                      now.isoformat(), until)
    )  # fmt: skip
    _eventually(lambda: _ask(target, 1).body["results"][0]["model_version"] == bad)
    results = _ask(target, 100).body["results"]
    ids = [result["prediction_id"] for result in results]
    shares = [result["probabilities"]["yes"] for result in results]
    middle = sorted(shares)[len(shares) // 2]
    # What the champion before says is the truth: it ranks as the bad one does, the other way.
    labels = [
        {"prediction_id": key, "label": "yes" if share < middle else "no"}
        for key, share in zip(ids, shares, strict=True)
    ]
    assert target.call("POST", f"/projects/{PROJECT}/feedback", {"labels": labels}).status == 200

    def filed():
        rows = [
            row
            for found in target.artifacts.under(f"answers/{PROJECT}/")
            if found.key.endswith(".gz")
            for row in decode_rows(target.artifacts.get(found.key))
        ]
        return {r["prediction_id"] for r in rows if r["model_version"] == before} >= set(ids)

    _eventually(filed)
    states = []
    for number in range(2):
        name = f"p{number}-{ids[0][:8]}"
        end = follow_execution(
            target, "MonitoringStateMachine", name, {"project": PROJECT, "may_retrain": False},
            lambda state, what, _: states.append((state, what)),
        )  # fmt: skip
        assert end.status == "SUCCEEDED", end.output
    assert target.aliases.read(PROJECT).champion == before
    assert target.aliases.history(PROJECT)[0].promotion_id.startswith(f"probation-{bad}-")
    assert states.count(("AnnounceTakenBack", "finished")) == 1
    probation = target.call("GET", f"/projects/{PROJECT}/monitoring/performance").body["probation"]
    assert probation is None  # of the one that serves again


def test_what_a_stream_had_not_taken_is_handed_over_from_the_queue(target, champion):
    """Once it takes records again; every line arrives."""
    queues = target.client("sqs").list_queues()["QueueUrls"]
    (queue,) = [url for url in queues if "Fallback" in url]
    lines = "".join(json.dumps({"prediction_id": f"lost-{n}"}) + "\n" for n in range(3))
    message = {"stream": f"noria-local-predictions-{PROJECT}", "lines": lines}
    target.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(message))

    def arrived():
        keys = [found.key for found in target.artifacts.under(f"predictions/{PROJECT}/")]
        return any(b"lost-2" in target.artifacts.get(key) for key in reversed(keys))

    _eventually(arrived, seconds=60)


def test_rollback_takes_seconds(target, champion):
    """One write; the API serves the earlier champion within its refresh."""
    record = target.aliases.read(PROJECT)
    version = _register(target, record.champion, "next")
    for kind, model in (("manual", version), ("rollback", record.champion)):
        revision = target.aliases.read(PROJECT).revision
        started = time.monotonic()
        target.aliases.apply(
            Promotion(PROJECT, f"{kind}-{model}-{revision}", model, revision, kind, "r", "t", "2026-01-01T00:00:00+00:00")
        )  # fmt: skip
        _eventually(lambda model=model: _ask(target, 1).body["model_version"] == model)
        assert time.monotonic() - started < 60


def test_a_shadow_sees_requests_and_answers_none(target, champion):
    """Both records share the prediction id; the caller gets the champion's answer."""
    record = target.aliases.read(PROJECT)
    version = _register(target, record.champion, "shadow")
    target.aliases.apply(
        RolloutChange(PROJECT, f"s-{version}", version, record.revision, "shadow", 1.0, "r", "t", "2026-01-01T00:00:00+00:00")
    )  # fmt: skip
    time.sleep(10.5)  # the alias is read again
    answer = _ask(target, 5)
    assert {r["model_version"] for r in answer.body["results"]} == {record.champion}
    _eventually(lambda: list(target.artifacts.under(f"profiles/{PROJECT}/{version}/")))
    revision = target.aliases.read(PROJECT).revision
    target.aliases.apply(
        RolloutChange(PROJECT, f"e-{version}", version, revision, "off", 0.0, "r", "t", "2026-01-01T00:00:00+00:00")
    )  # fmt: skip


def test_a_simulated_change_is_found_trained_on_and_promoted(target):
    """Five days: quiet, a change, one confirmed drift, a better model through its rollout."""
    settings = SimulationSettings(
        days=5, drift_day=1, drift=1.0, rows_per_hour=15, label_delay_hours=12, seed=3
    )
    timeline = simulate_project(target, PROJECT, settings)
    assert timeline.count("failed request") == 0
    noticed = [day for day, what, _ in timeline.events if what == "drift"]
    assert noticed
    assert 1.0 <= noticed[0] <= 1.75
    assert timeline.count("retraining") >= 1
    assert "<svg" in timeline.drawn()
