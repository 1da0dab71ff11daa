"""One name per step, everywhere."""

import json

from infra.constructs.steps import STEPS
from infra.names import ROOT

# Not in a state machine: behind the API, started by events, or reading queues.
ONLINE = {
    "authorize", "predict", "operate", "profile_log_chunk", "follow_approval", "notify", "start_batches", "start_scheduled_check",
}  # fmt: skip
WITHOUT_STEP = {"replay_log"}  # moves bytes; nothing in it to know of the domain


def _snake(name):
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).strip("_")


def _asl_steps(machine):
    for name, state in machine["States"].items():
        if state["Type"] == "Map":
            yield from _asl_steps(state["ItemProcessor"])
        elif name.startswith("Announce"):
            assert state["Resource"] == "${RaiseAlertFunction}"
            yield "raise_alert"
        elif "waitForTaskToken" in str(state.get("Resource", "")) or str(
            state.get("Resource", "")
        ).startswith("${"):
            yield _snake(name)


def test_states_handlers_steps_and_functions_have_the_same_names():
    """A missing or misspelt one fails here by name."""
    states = {
        step
        for path in ROOT.glob("statemachines/*.asl.json")
        for step in _asl_steps(json.loads(path.read_text(encoding="utf-8")))
    }
    handlers = {path.parent.name for path in ROOT.glob("lambdas/*/handler.py")}
    modules = {p.stem for p in ROOT.glob("layers/noria/python/noria/steps/[a-z]*.py")}
    assert handlers == states | ONLINE | WITHOUT_STEP
    # What stands behind these is in noria.api and noria.access.
    assert modules == states | ONLINE - {"authorize", "predict", "operate"}
    assert set(STEPS) == states | {
        "profile_log_chunk",
        "follow_approval",
        "start_batches",
        "start_scheduled_check",
    }
