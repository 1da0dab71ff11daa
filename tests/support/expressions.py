"""Expressions of the state machines with inputs that they have seen, for a second engine.

The emulator notes what each expression was evaluated on. `python -m tests.support.expressions`,
after all integration tests, keeps some of it in `tests/statemachines/recorded.json`.
"""

import json
import os
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.names import ROOT

FOLDER = ROOT / "build" / "expressions"
RECORDED = ROOT / "tests" / "statemachines" / "recorded.json"
_MOST, _LONGEST = 2, 200  # inputs of an expression; characters of a text
_PATH = re.compile(r"(?:/[\w.+-]+){3,}")
_BUCKET = re.compile(r"noria-local-storage-data[\w-]+")
_HASH = re.compile(r"\b[0-9a-f]{16,}\b")
_STATES = ("input", "result", "errorOutput")

Noted = dict[str, Any]


def _of(expression: str, error: Any = None, **variables: Any) -> Noted:
    return {"expression": expression, "errorOutput": error, "context": {"variables": variables}}


_FAILURE = {"Error": "States.Timeout", "Cause": "it took too long"}
_DIED = {"Error": "ModelCorruptError", "Cause": '{"errorMessage": "golden rows differ"}'}
_BATCH = "$failure != null ? $failure : {'Error': 'BatchFailed', 'Cause': $closed.summary}"
_CAUSE = "$exists($failure.Cause) ? $failure.Cause : 'no cause given'"
_REFUSED = (
    "$is_refit ? $decision : {'outcome': 'refuse_challenger', "
    "'summary': $parse($states.errorOutput.Cause).errorMessage}"
)
# What the integration tests do not bring about, or the emulator does not evaluate.
WRITTEN: tuple[Noted, ...] = (
    _of("$states.errorOutput", _FAILURE),
    _of("$plan.max_concurrency", plan={"max_concurrency": 40}),
    _of(_BATCH, failure=None, closed={"summary": "planning failed"}),
    _of(_BATCH, failure=_FAILURE, closed={"summary": "planning failed"}),
    _of("$failure.Error", failure=_FAILURE),
    _of(_CAUSE, failure=_FAILURE),
    _of(_CAUSE, failure={"Error": "E"}),
    _of("$decision.summary & ' (the report could not be written)'", decision={"summary": "no"}),
    _of("'since-' & $report.overdue", report={"overdue": "2026-03-01T00"}),
    _of("$report.service", report={"service": "5.5% of 200 requests failed"}),
    _of("'of-' & $substring($at, 0, 10)", at="2026-03-01T09:30:00+00:00"),
    _of("'not approved: ' & $states.errorOutput.Error", {"Error": "Rejected"}),
    _of(_REFUSED, _DIED, is_refit=False),
    _of(_REFUSED, _DIED, is_refit=True, decision={"outcome": "promote_challenger"}),
    _of("'rollout-' & $model_version", model_version="20260301t000000-ab12-cd34"),
)


def keep_expressions(noted: Path) -> None:
    """Keep what an emulator has noted."""
    if noted.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        shutil.copy(noted, FOLDER / f"{os.getpid()}.jsonl")


def of_machines() -> dict[str, str]:
    """Return every expression of the state machines, with the machine that has it."""
    return {
        expression: path.name.partition(".")[0]
        for path in sorted((ROOT / "statemachines").glob("*.json"))
        for expression in _in(json.loads(path.read_text(encoding="utf-8")))
    }


def _in(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _in(part)
    elif isinstance(value, str) and value.startswith("{%") and value.endswith("%}"):
        yield value[2:-2].strip()


def read_recorded() -> list[Noted]:
    """Return the recorded inputs."""
    found: list[Noted] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


def _needed(noted: Noted) -> Noted:
    """Return of an input what its expression names."""
    expression, context = noted["expression"], noted.get("context") or {}
    variables = context.get("variables") or {}
    used = {name: part for name, part in variables.items() if f"${name}" in expression}
    of_context = {
        name: part for name, part in context.items() if f"$states.context.{name}" in expression
    }
    found: Noted = {"expression": expression, "context": {**of_context, "variables": used}}
    found |= {name: noted.get(name) for name in _STATES if f"$states.{name}" in expression}
    return {name: _short(part) if name != "expression" else part for name, part in found.items()}


def _short(value: Any) -> Any:
    """Return a value without long texts and without paths of a machine."""
    if isinstance(value, dict):
        return {name: _short(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_short(part) for part in value[:3]]
    if isinstance(value, str) and not value.startswith("arn:"):
        if value.startswith(("{", "[")):
            return _short_json(value)
        return _HASH.sub("a0b1", _PATH.sub("/a/path", value))[:_LONGEST]
    return value


def _short_json(text: str) -> str:
    try:
        return json.dumps(_short(json.loads(text)))
    except ValueError:
        return text[:_LONGEST]


def main() -> int:
    """Merge what was noted into the recording; 1 where an expression has no input."""
    wanted = of_machines()
    by_expression: dict[str, list[Noted]] = defaultdict(list)
    lines = [
        _BUCKET.sub("${DataBucket}", line)  # as the definition has it before it is deployed
        for path in FOLDER.glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    earlier = read_recorded() if RECORDED.exists() else []
    for noted in [*WRITTEN, *map(json.loads, sorted(lines)), *earlier]:  # the newest count
        kept, short = by_expression[noted["expression"]], _needed(noted)
        if noted["expression"] in wanted and len(kept) < _MOST and short not in kept:
            kept.append(short)
    listed = [noted for name in sorted(wanted) for noted in by_expression.get(name, ())]
    text = ",\n".join(json.dumps(noted, ensure_ascii=False) for noted in listed)
    RECORDED.write_text(f"[\n{text}\n]\n", encoding="utf-8")
    missing = [name for name in wanted if not by_expression.get(name)]
    shutil.rmtree(FOLDER, ignore_errors=True)  # once more would be of a state machine that was
    print(f"{len(listed)} inputs of {len(wanted) - len(missing)} expressions")
    for name in missing:
        print(f"never evaluated: {wanted[name]}: {name}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
