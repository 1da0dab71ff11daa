"""What every command shares: its common options, its errors, its two ways to answer."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.display import console, error_console
from infra.names import project_names
from noria.errors import NoriaError, UnknownProjectError

Stage = Annotated[
    str,
    typer.Option(help="Deployed stage; 'local' is the embedded emulator.", envvar="NORIA_STAGE"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Project = Annotated[str, typer.Argument(help="Project name: the stem of its spec file.")]


@contextmanager
def told() -> Iterator[None]:
    """Turn an expected failure into one line and exit status 1."""
    try:
        yield
    except typer.Exit:  # the command has said what it had to say
        raise
    except _expected() as error:
        error_console.print(f"[bold red]error:[/] {escape(str(error))}")
        raise typer.Exit(1) from error


def _expected() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError

    return NoriaError, RuntimeError, ValueError, OSError, BotoCoreError, ClientError


def show(as_json: bool, data: Any, shown: Callable[[], Any]) -> None:
    """Print data as one JSON object, or what `shown` makes for people."""
    if as_json:
        typer.echo(json.dumps(data, ensure_ascii=False, default=str))
    else:
        console.print(shown())


def checked(project: str) -> str:
    """Return the name of a project that exists; UnknownProjectError names the others."""
    names = project_names()
    if project not in names:
        raise UnknownProjectError(f"no project '{project}'; there are: {', '.join(names)}")
    return project


def require_yes(question: str, *, yes: bool, as_json: bool) -> None:
    """Ask before something that cannot be taken back; with --json nobody can be asked."""
    if yes:
        return
    if as_json:
        raise ValueError("--json needs --yes: nobody can be asked")
    typer.confirm(question, abort=True)
