"""State machines read on their own and name only what exists."""

import json
import re

import botocore.session
import pytest
from botocore.validate import ParamValidator

from infra.names import ROOT
from noria import errors
from noria.records.alert import EVENTS
from noria_aws.jobs import glue

PATHS = sorted((ROOT / "statemachines").glob("*.asl.json"))
TEXTS = {path.name.removesuffix(".asl.json"): path.read_text(encoding="utf-8") for path in PATHS}
MACHINES = {name: json.loads(text) for name, text in TEXTS.items()}


def _states(machine):
    for name, state in machine["States"].items():
        yield name, state
        if state["Type"] == "Map":
            yield from _states(state["ItemProcessor"])


STATES = {(m, name): state for m, machine in MACHINES.items() for name, state in _states(machine)}
TASKS = {key: state for key, state in STATES.items() if state["Type"] == "Task"}
STEPS = {key: s for key, s in TASKS.items() if s["Resource"].startswith("${")}
ALERTS = {key for key, s in STEPS.items() if s["Resource"] == "${RaiseAlertFunction}"}
ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.NoriaError)
}
ENDS = {
    "analysis": {"RowsAnalyzed"},
    "training": {"ChallengerPromoted", "RolloutStarted", "ChampionKept", "ChallengerRefused",
                 "DatasetRejected"},
    "rollout": {"ChallengerPromoted", "RolloutReverted", "ApprovalExpired", "RolloutSuperseded"},
    "batch": {"BatchCompleted", "BatchHeld", "BatchRejected", "BatchCancelled", "BatchDuplicate"},
    "labels": {"LabelsFiled", "LabelsRefused", "LabelsRejected"},
    "monitoring": {"RetrainingStarted", "ModelHealthy", "ModelUnhealthy", "ModelSuspected",
                   "InsufficientData"},
}  # fmt: skip


OF_A_MAP = {"TrainCandidate", "TrainOnSagemaker", "TrainOnGlue", "ScorePart"}  # their Map catches
UNDONE = {"rollout": "RevertRollout", "batch": "CloseBatch"}  # by which state
RETRY = (
    "ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds",
    "JitterStrategy",
)  # fmt: skip
GLUE = "arn:aws:states:::glue:startJobRun.sync"


def _ids(keys):
    return ["/".join(key) for key in keys]


@pytest.mark.parametrize("name", MACHINES)
def test_the_top_comment_says_purpose_trigger_input_and_output(name):
    """A reader needs no other file."""
    for word in ("Purpose", "Trigger", "Input", "Output"):
        assert f"{word}:" in MACHINES[name]["Comment"]
    assert MACHINES[name]["QueryLanguage"] == "JSONata"


@pytest.mark.parametrize("name", TEXTS)
def test_lines_are_at_most_120_wide(name):
    """Only one string alone on its line may be longer: JSON cannot break it."""
    for line in TEXTS[name].splitlines():
        assert len(line) <= 120 or re.fullmatch(r'\s*("\w+": )?"[^"]*",?', line), line


@pytest.mark.parametrize("key", STATES, ids=_ids(STATES))
def test_every_state_says_why(key):
    """And is named in PascalCase; questions are Choices, ends are outcomes."""
    state = STATES[key]
    assert re.fullmatch(r"([A-Z][a-z]+)+", key[1])
    assert state.get("Comment")
    if state["Type"] == "Choice":
        assert key[1].startswith(("Is", "Which"))


@pytest.mark.parametrize("key", TASKS, ids=_ids(TASKS))
def test_every_task_times_out_and_retries_with_jitter(key):
    """Nothing waits forever; a person's answer has the spec's hours."""
    task = TASKS[key]
    if key[1] == "RequestApproval":
        assert task["TimeoutSeconds"] == "{% $rollout.approval_seconds %}"
    elif key[1] == "TrainOnSagemaker":  # the job's own limit is the spec's
        assert "max_seconds" in task["Arguments"]["StoppingCondition"]
    elif task["Resource"] == GLUE:  # in minutes; the spec's, or two days of any size
        limit = task["Arguments"]["Timeout"]
        longest = 120 * 3600 if "max_seconds" in str(limit) else 60 * limit
        # Each ends before the next, so that the innermost says why.
        assert longest < task["TimeoutSeconds"] < MACHINES[key[0]]["TimeoutSeconds"]
    else:
        # A function may take 15 minutes, and ends before the state gives it up.
        assert 0 < task["TimeoutSeconds"] <= 930
    assert all(
        tuple(retry) == RETRY and retry["JitterStrategy"] == "FULL" for retry in task["Retry"]
    )
    assert all("States.ALL" not in retry["ErrorEquals"] for retry in task["Retry"])


@pytest.mark.parametrize("key", sorted(set(STEPS) - ALERTS), ids=_ids(sorted(set(STEPS) - ALERTS)))
def test_functions_come_by_substitution_named_like_their_state(key):
    """No ARN, no second name."""
    assert STEPS[key]["Resource"] == f"${{{key[1]}Function}}"


@pytest.mark.parametrize("key", STEPS, ids=_ids(STEPS))
def test_transient_errors_and_only_they_are_retried(key):
    """Class names are what Step Functions matches; base classes do not."""
    retried = {error for retry in STEPS[key]["Retry"] for error in retry["ErrorEquals"]}
    transient = {n for n, kind in ERRORS.items() if kind.transient and not kind.__subclasses__()}
    if key[1] in ("RevertRollout", "EndProbation"):  # they read the record anew each time
        transient.add("AliasConflictError")
    assert retried & set(ERRORS) == transient


def test_every_named_error_exists():
    """A misspelt name would never match."""
    for key, state in STATES.items():
        for rule in [*state.get("Retry", []), *state.get("Catch", [])]:
            for error in rule["ErrorEquals"]:
                known = error.startswith(
                    (
                        "States.",
                        "Lambda.",
                        "StepFunctions.",
                        "SageMaker.",
                        "Glue.",
                        "Sandbox.",
                        "Runtime.",
                    )
                )
                known |= error == "ExecutionAlreadyExists"  # as the emulator calls it
                known |= error in ("MemoryError", "_ArrayMemoryError")  # Python's and numpy's
                assert known or error in ERRORS, f"{key}: {error}"


def test_every_alert_is_of_an_event_there_is():
    """A misspelt event would fail where people must be told."""
    for key in ALERTS:
        event = STATES[key]["Arguments"]["event"]
        if event in ("{% $outcome %}", "{% $closed.event %}"):
            wanted = ENDS[key[0]] - {"RolloutSuperseded", "BatchDuplicate", "LabelsFiled"}
            assert wanted <= set(EVENTS), key
        elif event == "{% $report.event %}":
            assert {"ModelUnhealthy", "CalibrationDegraded", "BatchDrifted"} <= set(EVENTS), key
        else:
            assert event in EVENTS, key


def test_an_alert_that_cannot_be_raised_changes_no_outcome():
    """Its Catch goes where its success goes."""
    for key in ALERTS:
        (catch,) = STATES[key]["Catch"]
        assert (catch["ErrorEquals"], catch["Next"]) == (["States.ALL"], STATES[key]["Next"])


@pytest.mark.parametrize("machine", MACHINES)
def test_faults_fail_the_execution_and_business_ends_succeed(machine):
    """A fault is caught only where something is to undo first; a report is no condition."""
    for (m, name), state in TASKS.items():
        if m != machine or (m, name) in ALERTS:
            continue
        caught = {c["Next"] for c in state.get("Catch", []) if c["ErrorEquals"] == ["States.ALL"]}
        if name in ("WriteTrainingReport", "WriteMonitoringReport", "WriteBatchReport"):
            assert caught == {state["Next"]}
        elif name == "EndProbation":  # told by an alert of its own; the rest of the check goes on
            assert caught == {"AnnounceNotTakenBack"}
        elif machine in UNDONE and name not in (*OF_A_MAP, *UNDONE.values(), "StartCheck"):
            assert caught == {UNDONE[machine]}
        else:  # the execution fails in this state, from which it can be redriven
            assert not caught
    ends = {n: s["Type"] for n, s in MACHINES[machine]["States"].items() if "Next" not in s and s["Type"] in ("Succeed", "Fail")}  # fmt: skip
    assert {n for n, kind in ends.items() if kind == "Succeed"} == ENDS[machine]
    failed = {"RunFailed"} if machine in UNDONE else set()
    assert {n for n, kind in ends.items() if kind == "Fail"} == failed


def test_the_job_knows_every_task_and_gets_the_arguments_it_reads():
    """A misspelt argument would fail an hour into a run."""
    jobs = [s for s in TASKS.values() if s["Resource"] == GLUE]
    assert {s["Arguments"]["Arguments"]["--task"] for s in jobs} == set(glue.OPTIONS)
    given_by_default = {"data_bucket", "code_version"}
    for state in jobs:
        given = {name.removeprefix("--") for name in state["Arguments"]["Arguments"]}
        read = {*glue.ALWAYS, *glue.OPTIONS[state["Arguments"]["Arguments"]["--task"]]}
        assert given | given_by_default == read


def test_jobs_of_glue_are_requests_that_the_service_takes():
    """By the service's own model."""
    shape = botocore.session.get_session().get_service_model("glue").shape_for("StartJobRunRequest")
    for state in TASKS.values():
        if state["Resource"] == GLUE:
            numbers = {"NumberOfWorkers": 2, "Timeout": 60}
            report = ParamValidator().validate({**state["Arguments"], **numbers}, shape)
            assert not report.has_errors(), report.generate_report()


def test_no_promotion_is_reachable_but_through_the_gate():
    """The gate, or the last step of a rollout that the gate started."""

    def before(machine, target):
        states = MACHINES[machine]["States"].items()
        return {n for n, s in states if f'"Next": "{target}"' in json.dumps(s)}

    assert before("training", "PromoteChallenger") == {"IsChallengerBetter"}
    assert before("training", "StartRollout") == {"IsChallengerBetter"}
    assert before("rollout", "PromoteChallenger") == {"IsRolloutFinished", "RequestApproval"}


def _targets(state):
    found = [state.get("Next"), state.get("Default")]
    found += [rule["Next"] for rule in [*state.get("Choices", []), *state.get("Catch", [])]]
    return {target for target in found if target}


@pytest.mark.parametrize(
    "machine",
    [*MACHINES.values(), MACHINES["training"]["States"]["TrainCandidates"]["ItemProcessor"]],
    ids=[*MACHINES, "candidates"],
)
def test_every_state_is_reachable_and_every_target_exists(machine):
    """No dead branch, no dangling arrow."""
    assert _reached(machine, machine["StartAt"]) == set(machine["States"])


def test_what_becomes_of_the_champion_hides_no_trouble_of_the_service():
    """Taken back, not taken back or left: whether requests fail is asked on every way."""
    machine = MACHINES["monitoring"]
    way = _reached(machine, "IsChampionWorse", but="IsServiceWell")
    assert {"AnnounceTakenBack", "AnnounceNotTakenBack", "IsTakenBack"} <= way
    assert not way & {"AnnounceService", "IsTrainingDecided"}


def _reached(machine, start, *, but=None):
    """Return the states that can follow one, itself included, without passing through another."""
    reached, pending = set(), [start]
    while pending:
        name = pending.pop()
        if name not in reached and name != but:
            reached.add(name)
            pending += _targets(machine["States"][name])
    return reached
