"""`noria predict`: one row, asked over HTTPS as any caller asks."""

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from cli.display import console, explanation_table, table
from cli.shared import Json, Project, Stage, checked, show, told
from cli.target import Target, answered
from infra.names import LOCAL_STAGE as LOCAL
from infra.names import SPECS


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(predict)


def predict(
    project: Project,
    inputs: Annotated[
        list[str], typer.Argument(help="column=value …, or one JSON object, or '-' to read it.")
    ],
    explain: Annotated[bool, typer.Option(help="Say which features mattered most.")] = False,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Ask the champion over HTTPS."""
    with told():
        target = Target(stage)
        row = _row(inputs, partial(_numbers, target, checked(project)))
        path = f"/projects/{project}/predict"
        answer = answered(target.call("POST", path, {"inputs": row, "explain": explain}))
        explanation = {} if as_json else answer.body.pop("explanation", {})
        show(as_json, answer.body, lambda: table(project, ("field", "value"), answer.body.items()))
        if explanation:
            console.print(explanation_table(explanation))


def _numbers(target: Target, project: str) -> set[str]:
    """Return the columns that are numbers: the spec's, or the champion's where rows tell them."""
    from noria.spec.loader import load_spec

    dataset = load_spec(SPECS / f"{project}.toml").dataset
    if not dataset.infer:
        return {name for name, column in dataset.columns.items() if column.type == "number"}
    model = answered(target.call("GET", f"/projects/{project}/model"))
    return {name for name, c in model.body["columns"].items() if c["type"] == "number"}


def _row(inputs: list[str], number_columns: Callable[[], set[str]]) -> Any:
    if len(inputs) == 1 and (inputs[0] == "-" or inputs[0].lstrip().startswith("{")):
        return json.loads(sys.stdin.read() if inputs[0] == "-" else inputs[0])
    pairs = [item.partition("=") for item in inputs]
    for item, (_, separator, _) in zip(inputs, pairs, strict=True):
        if not separator:
            raise ValueError(f"'{item}' is not column=value")
    numbers = number_columns()
    return {name: _number(name, text) if name in numbers else text for name, _, text in pairs}


def _number(name: str, text: str) -> float | str:
    """Return the number of a column; an empty text is a gap."""
    try:
        return float(text) if text else text
    except ValueError:
        raise ValueError(f"{name}: '{text}' is no number") from None
