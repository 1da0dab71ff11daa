"""`noria check`: what is wrong with a spec, and what files of rows are to it; changes nothing."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from cli.display import console, table
from cli.shared import Json, checked, show, told
from infra.names import SPECS, project_names
from noria.errors import InvalidSpecError
from noria.reporting.numbers import number_text

if TYPE_CHECKING:
    from noria.data.file_check import FileCheck
    from noria.spec.model import ProjectSpec

_MOST_GAPS = 0.5  # of the rows: a column with more is marked


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)


def check(
    project: Annotated[
        str | None, typer.Argument(help="Project name; default: every project's spec.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Files to train on, tables to join too; repeat for several."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say everything that is wrong with specs: file, line, key, and what is allowed.

    With --data also what the files are to the project: columns and their types, what is left out
    and why, classes, the range of times, refused records. Reads files here; needs no stage. Exit
    status 1 where a spec is wrong, or the rows cannot be trained on.
    """
    with told():
        if data and project is None:
            raise ValueError("--data needs the project that the rows are of: noria check PROJECT")
        names = project_names() if project is None else [checked(project)]
        faults = {name: faults_in(name) for name in names}
        shown: dict[str, Any] = {"projects": faults}
        found = _checked_files(names[0], data) if data and not faults[names[0]] else None
        if found:
            shown["data"] = asdict(found)
        show(as_json, shown, lambda: "\n".join(_lines(faults)))
        if found and not as_json:
            _show_files(found)
        if any(faults.values()) or (found and found.faults):
            raise typer.Exit(1)


def faults_in(project: str) -> list[str]:
    """Return the faults of a project's spec, each with its line; empty where it is right."""
    from noria.spec.loader import load_spec

    try:
        load_spec(SPECS / f"{project}.toml")
    except InvalidSpecError as error:
        return list(error.details.get("faults", [error.message]))
    return []


def require_right_specs() -> None:
    """Raise InvalidSpecError with all faults of all specs: before anything is deployed."""
    faults = {name: faults_in(name) for name in project_names()}
    if any(faults.values()):
        wrong = {name: texts for name, texts in faults.items() if texts}
        raise InvalidSpecError("\n".join(_lines(wrong)))


def _lines(faults: dict[str, list[str]]) -> Iterator[str]:
    for name, texts in faults.items():
        place = (SPECS / f"{name}.toml").relative_to(SPECS.parents[3])
        yield f"{place}: {f'{len(texts)} fault(s)' if texts else 'right'}"
        yield from (f"  {text}" for text in texts)


class _Here:
    """Files of this machine, by their paths."""

    def open(self, key: str) -> BinaryIO:
        """Return a file as a stream; KeyError where it is not there."""
        try:
            return Path(key).open("rb")
        except FileNotFoundError as error:
            raise KeyError(key) from error


def _checked_files(project: str, data: list[Path]) -> "FileCheck":
    from noria.data.file_check import check_files
    from noria.spec.loader import load_spec

    if absent := [str(path) for path in data if not path.is_file()]:
        raise ValueError(f"no such file: {', '.join(absent)}")
    spec: ProjectSpec = load_spec(SPECS / f"{project}.toml")
    with console.status("reading"):
        return check_files(spec, _Here(), [str(path) for path in data])


def _show_files(found: "FileCheck") -> None:
    report, n_rows = found.report, found.report.n_rows
    rows = [
        (
            column.name,
            column.type,
            "the spec" if column.is_declared else "the rows",
            f"{column.n_gaps:,}" + (" (most)" if column.n_gaps > _MOST_GAPS * n_rows else ""),
        )
        for column in found.columns
    ]
    console.print(table("Columns", ("column", "type", "by", "rows without a value"), rows))
    for name, reason in found.left_out.items():
        console.print(f"left out: {name}: {reason}", markup=False)
    console.print(
        f"{report.n_records:,} records: {n_rows:,} rows to train on, {report.n_rejected:,} refused, "
        f"{report.n_duplicates:,} duplicates, {report.n_unlabelled:,} without a label",
        markup=False,
    )
    for reason, n in report.reasons.items():
        console.print(f"  refused, {n:,}: {reason}", markup=False)
    if found.target:
        console.print("target: {} to {}".format(*map(number_text, found.target)), markup=False)
    if report.classes:
        shares = (f"{name} {n:,} ({n / n_rows:.1%})" for name, n in report.classes.items())
        console.print(f"classes: {', '.join(shares)}", markup=False)
    for name, n in report.rare_classes.items():
        console.print(
            f"left out: class {name}: {n} row(s) (target.min_rows_per_class)", markup=False
        )
    if found.times:
        console.print("times: {} to {}".format(*found.times), markup=False)
    for fault in found.faults:
        console.print(f"cannot be trained on: {fault}", markup=False)
