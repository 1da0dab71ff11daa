"""Patches for JSONata in the emulator's state machines, and notes of it for the tests."""

import json
import os
from collections import Counter
from pathlib import Path
from threading import Lock
from typing import Any

from ministack.services import stepfunctions

from infra.local.pinned import require_parameters

_MOST = 6  # inputs of different shape of one expression
_MOST_CHARACTERS = 30_000


def map_over_computed_items() -> None:
    """AWS: a Distributed Map in JSONata computes its items, their inputs and its output.

    MiniStack's reads JSONPath only. Here the items are computed first, and its own Map Run goes
    over them; at most as many at once as this machine has cores.
    """
    stock = stepfunctions._run_distributed_map
    require_parameters(
        stock, ["state_def", "raw_input", "effective", "iterator", "execution", "ctx"]
    )
    computed = ("Items", "ItemSelector", "Output", "Assign", "MaxConcurrency")

    def run(
        state_def: Any, raw_input: Any, effective: Any, iterator: Any, execution: Any, ctx: Any
    ) -> Any:
        if "Items" not in state_def:
            return stock(state_def, raw_input, effective, iterator, execution, ctx)
        items = []
        found = stepfunctions._jsonata_state_field(state_def, "Items", "array", raw_input, ctx)
        for place, value in enumerate(found):
            own = {**ctx, "Map": {"Item": {"Index": place, "Value": value}}}
            selector = state_def.get("ItemSelector")
            items.append(
                stepfunctions._apply_jsonata_template(selector, raw_input, own)
                if selector
                else value
            )
        plain = {name: part for name, part in state_def.items() if name not in computed}
        plain["MaxConcurrency"] = os.cpu_count() or 1
        results, target = stock(plain, raw_input, items, iterator, execution, ctx)
        output = stepfunctions._apply_jsonata_output(
            state_def, raw_input, ctx, result=results, default=results
        )
        stepfunctions._apply_state_assign(state_def, raw_input, ctx, result=results)
        return output, target

    stepfunctions._run_distributed_map = run


def compute_timeouts() -> None:
    """AWS: in JSONata the time-out of a task may be an expression; MiniStack takes numbers only."""
    execute = stepfunctions._execute_task
    require_parameters(execute, ["state_def", "raw_input", "execution", "ctx"])

    def with_number(state_def: Any, raw_input: Any, execution: Any, ctx: Any = None) -> Any:
        if isinstance(state_def.get("TimeoutSeconds"), str):
            seconds = stepfunctions._jsonata_state_field(
                state_def, "TimeoutSeconds", "number", raw_input, ctx
            )
            state_def = {**state_def, "TimeoutSeconds": seconds}
        return execute(state_def, raw_input, execution, ctx)

    stepfunctions._execute_task = with_number


def note_expressions(file: Path) -> None:
    """Write a line of JSON for each shape of input that a JSONata expression has seen."""
    file.unlink(missing_ok=True)  # of an emulator that ran before
    evaluate = stepfunctions._evaluate_jsonata
    require_parameters(evaluate, ["expression", "raw_input", "ctx", "result", "error_output"])
    seen: set[str] = set()
    counted: Counter[str] = Counter()
    lock = Lock()

    def noted(
        expression: str,
        raw_input: Any,
        ctx: Any = None,
        result: Any = None,
        error_output: Any = None,
    ) -> Any:
        found = {"input": raw_input, "context": ctx, "result": result, "errorOutput": error_output}
        key = f"{expression}\n{_shape(found)}"
        with lock:
            if key not in seen and counted[expression] < _MOST:
                seen.add(key)
                line = json.dumps({"expression": expression, **found}, default=str)
                if len(line) <= _MOST_CHARACTERS:
                    counted[expression] += 1
                    with file.open("a", encoding="utf-8") as out:
                        out.write(line + "\n")
        return evaluate(expression, raw_input, ctx, result, error_output)

    stepfunctions._evaluate_jsonata = noted


def _shape(value: Any) -> str:
    """Return what kind of value it is: names of fields, and of lists none, one or many."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{_shape(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return f"[{min(len(value), 2)}{_shape(value[0]) if value else ''}]"
    return type(value).__name__
