"""`noria erase`: remove one record from the prediction log, labels and results of batches."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.display import console, table
from cli.shared import Json, Project, Stage, checked, require_yes, show, told
from cli.target import Target
from infra.names import LOCAL_STAGE as LOCAL
from infra.names import SPECS

if TYPE_CHECKING:
    from cli.eraser import Erased

_SHOWN = 50


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(erase)


def erase(
    project: Project,
    record_id: Annotated[
        str, typer.Option(help="As it was sent with requests, or stands in a file's id column.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Remove a record's answers and labels from logs and results, older versions too.

    Looks through the prediction log, filed answers, labels, and the results, pages and working
    files of batches. What it cannot reach is said: uploaded files and dataset versions that hold
    the id are listed and left; models and counts are made of many rows together. Nothing brings
    the record back. A run that was cut off is finished by the next one.

    A file without the record is a new object: its retention starts again, and one that Firehose
    had given up on raises its alarm again.
    """
    from cli.eraser import Eraser  # pyarrow; other commands do not wait for it
    from noria.spec.loader import load_spec

    with told():
        target = Target(stage)
        checked(project)
        if not record_id.strip():
            raise ValueError("--record-id is empty")
        require_yes(
            f"Remove this record from {project} on stage {stage} for good?",
            yes=yes,
            as_json=as_json,
        )
        spec = load_spec(SPECS / f"{project}.toml")
        done = Eraser(target, spec, record_id, quiet=as_json).run()
        data = {"project": project, **vars(done), "not_reached": unreached()}
        show(as_json, data, lambda: _table(done))
        if not as_json:
            console.print("not reached:")
            for text in unreached():
                console.print(f"  {text}", markup=False)
        if done.unread:
            raise ValueError(
                f"{len(done.unread)} object(s) could not be looked into; the record may be in them"
            )


def unreached() -> list[str]:
    """Return where a record may be that cannot be removed."""
    from cli.erased_record import SHORTEST_WORD

    return [
        "model versions (their golden rows and profiles are of training rows), reference profiles, "
        "profiles of the log, and reports: train again without the record for models without it",
        "dataset versions hold ids only where the spec sets dataset.id; other rows are not found",
        "records that have not left the log's buffer: run this again in ten minutes; those in the "
        "fallback queue and among dead letters: for up to 14 days",
        f"ids of fewer than {SHORTEST_WORD} characters inside texts: they are looked for in id "
        "columns only",
        "texts that people were sent, files that were downloaded, and backups outside the bucket",
    ]


def _table(done: "Erased") -> Any:
    rows = [(key, f"{n} row(s) removed") for key, n in done.rows.items()]
    rows += [(key, f"{n} earlier version(s) deleted") for key, n in done.versions.items()]
    rows += [(key, "deleted") for key in done.deleted]
    rows += [(key, f"not looked into: {why}") for key, why in done.unread.items()]
    rows += [(key, f"left: {why}") for key, why in done.left.items()]
    if len(rows) > _SHOWN:
        rows[_SHOWN:] = [(f"and {len(rows) - _SHOWN} more", "--json lists all")]
    return table("Where the record was", ("object", ""), rows or [("nowhere", "-")])
