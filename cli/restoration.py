"""`noria restore`: bring back objects of the data bucket that were deleted by mistake."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from cli.display import console
from cli.shared import Json, Stage, show, told
from cli.target import Target
from infra.config import LOCAL_STAGE as LOCAL

_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(restore)


def restore(
    prefix: Annotated[str, typer.Argument(help="Of keys in the data bucket: models/tickets/")],
    hours: Annotated[
        float, typer.Option(help="Only what was deleted within so many hours.", min=0.0)
    ] = 24.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Bring back deleted objects: the bucket keeps what is deleted for 30 days.

    Each comes back as it was. What expired by its retention within the hours comes back too, so
    name a narrow prefix. An erased record does not come back: `noria erase` leaves no version.
    """
    with told():
        target = Target(stage)
        found = [*deleted(target, prefix, datetime.now(UTC) - timedelta(hours=hours))]
        if found and not yes and not as_json:
            for key, _ in found[:_SHOWN]:
                console.print(key, markup=False)
            typer.confirm(f"Bring back {len(found)} object(s) on stage {stage}?", abort=True)
        bring_back(target, found)
        keys = [key for key, _ in found]
        show(as_json, {"restored": keys}, lambda: f"{len(keys)} object(s) are back")


def deleted(target: Target, prefix: str, since: datetime) -> Iterator[tuple[str, str]]:
    """Yield (key, id of the delete marker) of objects that were deleted since."""
    pages = target.client("s3").get_paginator("list_object_versions")
    for page in pages.paginate(Bucket=target.outputs["DataBucket"], Prefix=prefix):
        markers: list[dict[str, Any]] = page.get("DeleteMarkers", [])
        for marker in markers:
            if marker["IsLatest"] and marker["LastModified"] >= since:
                yield marker["Key"], marker["VersionId"]


def bring_back(target: Target, markers: list[tuple[str, str]]) -> None:
    """Remove delete markers: the version below each is the object again."""
    client, bucket = target.client("s3"), target.outputs["DataBucket"]
    for key, marker in markers:
        client.delete_object(Bucket=bucket, Key=key, VersionId=marker)
