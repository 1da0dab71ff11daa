import json

import pytest
from ministack.services import stepfunctions

from infra.local import expressions


def test_each_shape_of_an_expressions_input_is_noted_once(monkeypatch, tmp_path):
    """A list of one and one of many are two; values of one shape are one; few of an expression."""
    monkeypatch.setattr(
        stepfunctions, "_evaluate_jsonata",
        lambda expression, raw_input, ctx=None, result=None, error_output=None: raw_input["a"],
    )  # fmt: skip
    file = tmp_path / "expressions.jsonl"
    file.write_text("of an emulator that ran before\n")
    expressions.note_expressions(file)
    evaluate = stepfunctions._evaluate_jsonata
    for value in ([1], [2], [1, 2], [1, 2, 3], [], None, "x"):
        assert evaluate("$states.input.a", {"a": value}, {"Execution": {}}) == value
    for width in range(20):
        evaluate("$many", {"a": 1, **{f"x{n}": n for n in range(width)}})
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    noted = [line["input"]["a"] for line in lines if line["expression"] == "$states.input.a"]
    assert noted == [[1], [1, 2], [], None, "x"]
    assert sum(line["expression"] == "$many" for line in lines) == 6


def test_an_emulator_that_evaluates_in_another_way_is_refused(monkeypatch, tmp_path):
    """Else nothing would be noted, unseen."""
    monkeypatch.setattr(stepfunctions, "_evaluate_jsonata", lambda expression: None)
    with pytest.raises(RuntimeError, match="parameters of <lambda>"):
        expressions.note_expressions(tmp_path / "expressions.jsonl")


def test_the_time_out_of_a_task_may_be_an_expression(monkeypatch):
    """As on AWS; a number stays one, and what is no number fails the execution by its name."""
    monkeypatch.setattr(
        stepfunctions, "_execute_task",
        lambda state_def, raw_input, execution, ctx: state_def["TimeoutSeconds"],
    )  # fmt: skip
    expressions.compute_timeouts()
    context = {"variables": {"seconds": 600, "word": "x"}}
    for given in (600, "{% $seconds %}"):
        assert stepfunctions._execute_task({"TimeoutSeconds": given}, {}, {}, context) == 600
    with pytest.raises(stepfunctions._ExecutionError) as failed:
        stepfunctions._execute_task({"TimeoutSeconds": "{% $word %}"}, {}, {}, context)
    assert failed.value.error == "States.QueryEvaluationError"
