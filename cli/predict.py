"""`noria predict`: one row, asked over HTTPS as any caller asks."""

import json
import sys
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
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
        list[str] | None,
        typer.Argument(help="column=value …, or one JSON object, or '-' to read it."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="CSV or JSON lines, .gz allowed: ask about a row of it.")
    ] = None,
    row: Annotated[int, typer.Option(help="Which row of the file, from 1.", min=1)] = 1,
    explain: Annotated[bool, typer.Option(help="Say which features mattered most.")] = False,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Ask the champion over HTTPS."""
    with told():
        target = Target(stage)
        name = checked(project)
        if bool(inputs) == bool(data):
            raise ValueError("name the row: column=value …, a JSON object, or --data FILE --row N")
        asked = (
            _row_of_file(target, name, data, row)
            if data
            else _row(inputs or [], partial(_numbers, target, name))
        )
        path = f"/projects/{project}/predict"
        answer = answered(target.call("POST", path, {"inputs": asked, "explain": explain}))
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


def _row_of_file(target: Target, project: str, path: Path, number: int) -> dict[str, Any]:
    """Return a row's cells of the columns that the champion reads, by the names it knows."""
    from noria.data.parsing import ByteBudget, read_records
    from noria.spec.loader import load_spec

    spec = load_spec(SPECS / f"{project}.toml")
    columns = answered(target.call("GET", f"/projects/{project}/model")).body["columns"]
    names = {alias: name for name, one in spec.dataset.columns.items() for alias in one.aliases}
    budget = ByteBudget(spec.batch.max_bytes, "batch.max_bytes")
    with path.open("rb") as stream:
        records = read_records(stream, path.name, budget, delimiter=spec.dataset.delimiter)
        record = next(islice(records, number - 1, None), None)
    if record is None:
        raise ValueError(f"{path.name} has no row {number}")
    if record.fault:
        raise ValueError(f"{path.name}, line {record.line}: {record.fault}")
    cells = {names.get(name, name): cell for name, cell in record.cells.items()}
    numbers = {name for name, column in columns.items() if column["type"] == "number"}
    return {
        name: _number(name, cell) if name in numbers and isinstance(cell, str) else cell
        for name, cell in cells.items()
        if name in columns and cell not in ("", None)
    }


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
