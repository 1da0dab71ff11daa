"""`training.asl.json` reads on its own and names only what exists."""

import json
import re

import pytest

from infra.config import ROOT
from noria import errors

PATH = ROOT / "statemachines" / "training.asl.json"
TEXT = PATH.read_text(encoding="utf-8")
MACHINE = json.loads(TEXT)


def _states(machine=MACHINE):
    for name, state in machine["States"].items():
        yield name, state
        if state["Type"] == "Map":
            yield from _states(state["ItemProcessor"])


STATES = dict(_states())
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
STEPS = {name: s for name, s in TASKS.items() if s["Resource"].startswith("${")}
ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.NoriaError)
}


def test_the_top_comment_says_purpose_trigger_input_and_output():
    """A reader needs no other file."""
    for word in ("Purpose", "Trigger", "Input", "Output"):
        assert f"{word}:" in MACHINE["Comment"]
    assert MACHINE["QueryLanguage"] == "JSONata"


def test_the_file_stays_readable():
    """At most 300 lines."""
    assert TEXT.count("\n") <= 300


@pytest.mark.parametrize("name", STATES)
def test_every_state_says_why(name):
    """And is named in PascalCase; questions are Choices, ends are outcomes."""
    state = STATES[name]
    assert re.fullmatch(r"([A-Z][a-z]+)+", name)
    assert state.get("Comment")
    if state["Type"] == "Choice":
        assert name.startswith(("Is", "Which"))


@pytest.mark.parametrize("name", TASKS)
def test_every_task_times_out_retries_with_jitter_and_is_caught(name):
    """Nothing waits forever, nothing fails unheard."""
    task = TASKS[name]
    assert 0 < task["TimeoutSeconds"] <= 900
    assert all(retry["JitterStrategy"] == "FULL" for retry in task["Retry"])
    assert all("States.ALL" not in retry["ErrorEquals"] for retry in task["Retry"])
    assert task["Catch"]


@pytest.mark.parametrize("name", STEPS)
def test_functions_come_by_substitution_named_like_their_state(name):
    """No ARN, no second name."""
    assert STEPS[name]["Resource"] == f"${{{name}Function}}"


@pytest.mark.parametrize("name", STEPS)
def test_transient_errors_and_only_they_are_retried(name):
    """Class names are what Step Functions matches; base classes do not."""
    retried = {error for retry in STEPS[name]["Retry"] for error in retry["ErrorEquals"]}
    transient = {n for n, kind in ERRORS.items() if kind.transient and not kind.__subclasses__()}
    assert retried & set(ERRORS) == transient


def test_every_named_error_exists():
    """A misspelt name would never match."""
    for name, state in STATES.items():
        for rule in [*state.get("Retry", []), *state.get("Catch", [])]:
            for error in rule["ErrorEquals"]:
                known = error.startswith(("States.", "Lambda.", "SNS.")) or error in ERRORS
                assert known, f"{name}: {error}"


def test_faults_alert_and_fail_and_business_ends_succeed():
    """Every step's last Catch goes to the one place that alerts; a report is no condition."""
    for name in STEPS:
        if name == "WriteTrainingReport":
            assert STEPS[name]["Catch"][-1]["Next"] == STEPS[name]["Next"]
        elif name != "TrainCandidate":  # caught by its Map
            assert STEPS[name]["Catch"][-1]["Next"] == "AlertOperators"
    assert MACHINE["States"]["TrainCandidates"]["Catch"][-1]["Next"] == "AlertOperators"
    ends = {name: s["Type"] for name, s in STATES.items() if s["Type"] in ("Succeed", "Fail")}
    assert ends == {
        "ChallengerPromoted": "Succeed",
        "ChampionKept": "Succeed",
        "ChallengerRefused": "Succeed",
        "DatasetRejected": "Succeed",
        "RunFailed": "Fail",
        "BackendUnavailable": "Fail",
    }


def test_no_promotion_is_reachable_but_through_the_gate():
    """PromoteChallenger has one predecessor, and it is the question."""
    before = {
        name
        for name, state in MACHINE["States"].items()
        if '"PromoteChallenger"' in json.dumps(state)
    }
    assert before == {"IsChallengerBetter"}


def _targets(state):
    found = [state.get("Next"), state.get("Default")]
    found += [rule["Next"] for rule in [*state.get("Choices", []), *state.get("Catch", [])]]
    return {target for target in found if target}


@pytest.mark.parametrize(
    "machine", [MACHINE, MACHINE["States"]["TrainCandidates"]["ItemProcessor"]]
)
def test_every_state_is_reachable_and_every_target_exists(machine):
    """No dead branch, no dangling arrow."""
    reached, pending = set(), [machine["StartAt"]]
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += _targets(machine["States"][name])
    assert reached == set(machine["States"])
