"""One name per step, everywhere."""

import json

from infra.config import ROOT
from infra.constructs.prediction_api import ROUTES as API_ROUTES
from infra.constructs.training_pipeline import STEPS
from noria_aws.http_api import ROUTES

ONLINE = {"predict"}  # behind the API, not in a state machine


def _snake(name):
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).strip("_")


def _asl_steps(machine):
    for name, state in machine["States"].items():
        if state["Type"] == "Map":
            yield from _asl_steps(state["ItemProcessor"])
        elif str(state.get("Resource", "")).startswith("${"):
            yield _snake(name)


def test_states_handlers_steps_and_functions_have_the_same_names():
    """A missing or misspelt one fails here by name."""
    machine = json.loads((ROOT / "statemachines/training.asl.json").read_text(encoding="utf-8"))
    states = set(_asl_steps(machine))
    handlers = {path.parent.name for path in ROOT.glob("lambdas/*/handler.py")}
    modules = {p.stem for p in ROOT.glob("layers/noria/python/noria/steps/[a-z]*.py")}
    assert handlers == states | ONLINE
    assert modules == states | ONLINE
    assert set(STEPS) == states


def test_api_gateway_and_the_handler_have_the_same_routes():
    """A route on one side only would answer 403 or 404."""
    assert {(r.method, r.path) for r in ROUTES} == set(API_ROUTES)
