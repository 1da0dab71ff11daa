"""Every expression of the state machines, by two engines: a port in Python and jsonata-js.

The emulator evaluates with the port; Step Functions implements JSONata 2.0.6, whose reference is
jsonata-js. Inputs are recorded by the integration tests, and varied here: a list of one, an empty
one, a null, a field that is not there.
"""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from ministack.services import stepfunctions

from infra.names import ROOT
from tests.support.expressions import of_machines, read_recorded

ENGINE = Path(sys.prefix) / "jsonata"
NODE = Path(sys.prefix) / "bin" / "node"
N_VARIANTS = 12  # of an input
needs_engine = pytest.mark.skipif(
    not (ENGINE / "node_modules" / "jsonata").exists(),
    reason="needs jsonata-js: make test installs it (tests/statemachines/engine)",
)


def _variants(noted):
    """Yield the input, and the input with one part of it changed, spread over all its parts."""
    yield noted
    parts = [(path, value) for path, value in _parts(noted, ()) if path and path[0] != "expression"]
    changes = [(path, change) for path, value in parts for change in _changes(value)]
    step = max(1, len(changes) // N_VARIANTS)
    for path, change in changes[::step]:
        changed = copy.deepcopy(noted)
        place = changed
        for key in path[:-1]:
            place = place[key]
        if change == "absent" and isinstance(place, dict):
            del place[path[-1]]
        else:
            place[path[-1]] = None if change == "absent" else change
        yield changed


def _parts(value, path):
    yield path, value
    inside = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value[:2]) if isinstance(value, list) else inside
    for key, part in inside:
        yield from _parts(part, (*path, key))


def _changes(value):
    if isinstance(value, list):
        return [[], value[:1], [*value[:1], *value[:1]]]
    if isinstance(value, dict):
        return ["absent"]
    return [None, "absent", [value]]


def _by_port(noted):
    """Return [value], or [] where there is none."""
    try:
        return [
            stepfunctions._evaluate_jsonata(
                noted["expression"], noted.get("input"), noted.get("context"),
                noted.get("result"), noted.get("errorOutput"),
            )
        ]  # fmt: skip
    except stepfunctions._ExecutionError:
        return []


def _by_reference(many):
    """Return [value] or [] of each, by jsonata-js in one process."""
    lines = [
        json.dumps(
            {
                "expression": noted["expression"],
                "variables": (noted.get("context") or {}).get("variables") or {},
                "states": {
                    name: noted.get(name) for name in ("input", "result", "errorOutput", "context")
                },
            }
        )
        for noted in many
    ]
    done = subprocess.run(
        [NODE, ROOT / "tests" / "statemachines" / "engine" / "evaluate.mjs", ENGINE],
        input="\n".join(lines) + "\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(many)
    return [[answer["value"]] if "value" in answer else [] for answer in answers]


def _plain(value):
    """Return a value as JSON has it: 1.0 is 1."""
    return json.loads(json.dumps(value), parse_float=lambda text: _number(float(text)))


def _number(value):
    return int(value) if value == int(value) else value


@pytest.fixture(scope="module")
def compared():
    """Inputs and their variants, with what either engine made of them."""
    recorded = read_recorded()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stepfunctions, "new_uuid", lambda: "a-uuid")
        many = [variant for noted in recorded for variant in _variants(noted)]
        ours = [_plain(_by_port(noted)) for noted in many]
    theirs = [_plain(answer) for answer in _by_reference(many)]
    return recorded, list(zip(many, ours, theirs, strict=True))


@needs_engine
def test_both_engines_agree_on_every_input_and_its_variants(compared):
    """A value, or none: what passes here passes there."""
    recorded, pairs = compared
    assert len(pairs) > 5 * len(recorded)
    other = [(noted["expression"], ours, theirs) for noted, ours, theirs in pairs if ours != theirs]
    assert other == []


@needs_engine
def test_every_recorded_input_has_a_value(compared):
    """They are of executions that went well; a variant may have none."""
    recorded, pairs = compared
    keys = {json.dumps(noted, sort_keys=True) for noted in recorded}
    failed = {
        noted["expression"]
        for noted, ours, _ in pairs
        if not ours and json.dumps(noted, sort_keys=True) in keys
    }
    assert failed == set()


def test_every_expression_of_the_machines_has_an_input():
    """A changed one is recorded anew: `make test`, then `python -m tests.support.expressions`."""
    known = {noted["expression"] for noted in read_recorded()}
    assert known == set(of_machines())


@needs_engine
def test_a_difference_between_the_engines_is_seen(compared, monkeypatch):
    """The control: a port that takes a list of one for its element differs on many inputs."""
    evaluate = stepfunctions._evaluate_jsonata

    def broken(*args):
        value = evaluate(*args)
        return value[0] if isinstance(value, list) and len(value) == 1 else value

    monkeypatch.setattr(stepfunctions, "_evaluate_jsonata", broken)
    _, pairs = compared
    other = [noted for noted, _, theirs in pairs if _plain(_by_port(noted)) != theirs]
    assert len(other) > 10
    assert _by_reference([{"expression": "$nothing()", "input": {}}]) == [[]]
