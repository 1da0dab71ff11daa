"""`noria restore`: bring back objects of the data bucket that were deleted by mistake."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

import typer

from cli.display import console
from cli.shared import Json, Stage, require_yes, show, told
from cli.target import Target
from infra.names import LOCAL_STAGE as LOCAL

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
        found = deleted(target, prefix, datetime.now(UTC) - timedelta(hours=hours))
        if found:
            if not yes and not as_json:
                for entry in found[:_SHOWN]:
                    console.print(entry.key, markup=False)
            question = f"Bring back {len(found)} object(s) on stage {stage}?"
            require_yes(question, yes=yes, as_json=as_json)
        keys = bring_back(target, found)
        show(as_json, {"restored": keys}, lambda: f"{len(keys)} object(s) are back")
        if len(keys) < len(found):
            raise ValueError(
                f"{len(found) - len(keys)} object(s) did not come back; run this again"
            )


class Deleted(NamedTuple):
    """An object that was deleted and of which a version is kept."""

    key: str
    markers: tuple[str, ...]  # ids of the delete markers above its newest version


def deleted(target: Target, prefix: str, since: datetime) -> list[Deleted]:
    """Return the objects that were deleted since, by key; deleting one again is no deletion."""
    markers = defaultdict[str, list[dict[str, Any]]](list)
    newest: dict[str, datetime] = {}
    pages = target.client("s3").get_paginator("list_object_versions")
    for page in pages.paginate(Bucket=target.outputs["DataBucket"], Prefix=prefix):
        for marker in page.get("DeleteMarkers", ()):
            markers[marker["Key"]].append(marker)
        for version in page.get("Versions", ()):  # the newest of a key first
            newest.setdefault(version["Key"], version["LastModified"])
    found = []
    for key, of_key in sorted(markers.items()):
        if key not in newest or not any(marker["IsLatest"] for marker in of_key):
            continue  # nothing is left of it, or it was written again
        above = [marker for marker in of_key if marker["LastModified"] >= newest[key]]
        if min(marker["LastModified"] for marker in above) >= since:
            found.append(Deleted(key, tuple(marker["VersionId"] for marker in above)))
    return found


def bring_back(target: Target, found: Iterable[Deleted]) -> list[str]:
    """Remove delete markers: the version below is the object again. Return the keys that are."""
    client, bucket = target.client("s3"), target.outputs["DataBucket"]
    keys = []
    for entry in found:
        for marker in entry.markers:
            client.delete_object(Bucket=bucket, Key=entry.key, VersionId=marker)
        if target.artifacts.exists(entry.key):
            keys.append(entry.key)
    return keys
