"""What was deleted comes back as it was, and nothing else."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.restoration import bring_back, deleted
from tests.support.bucket import BUCKET, versioned_stage

HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def target():
    """A stage whose bucket keeps versions."""
    with versioned_stage() as stage:
        yield stage


def test_a_deleted_model_version_is_back_as_it_was(target):
    """Its newest content; what was not deleted, or lies elsewhere, is left alone."""
    store, client = target.artifacts, target.client("s3")
    for body in (b"old", b"new"):
        store.put("models/p/v1/bundle.json", body)
    store.put("models/p/v2/bundle.json", b"other")
    store.put("models/q/v1/bundle.json", b"theirs")
    for key in ("models/p/v1/bundle.json", "models/q/v1/bundle.json"):
        client.delete_object(Bucket=BUCKET, Key=key)
    found = deleted(target, "models/p/", HOUR_AGO)
    assert [entry.key for entry in found] == ["models/p/v1/bundle.json"]
    assert bring_back(target, found) == ["models/p/v1/bundle.json"]
    assert store.get("models/p/v1/bundle.json") == b"new"
    assert not store.exists("models/q/v1/bundle.json")
    assert not deleted(target, "models/p/", HOUR_AGO)


def test_what_was_deleted_earlier_or_written_again_is_no_mistake(target):
    """The hours say what counts; an object that is there is not replaced."""
    store, client = target.artifacts, target.client("s3")
    store.put("inbox/p/a.csv", b"first")
    client.delete_object(Bucket=BUCKET, Key="inbox/p/a.csv")
    assert not deleted(target, "inbox/", datetime.now(UTC) + timedelta(seconds=1))
    store.put("inbox/p/a.csv", b"second")
    assert not deleted(target, "inbox/", HOUR_AGO)
    assert store.get("inbox/p/a.csv") == b"second"


def _versions_of(key, *entries):
    """A listing: (kind, id, hours ago, is it the latest) of one key."""
    now = datetime.now(UTC)
    page = {"Versions": [], "DeleteMarkers": []}
    for kind, number, hours, is_latest in entries:
        at = now - timedelta(hours=hours)
        entry = {"Key": key, "VersionId": number, "LastModified": at, "IsLatest": is_latest}
        page[kind].append(entry)
    return page


@pytest.mark.parametrize(
    ("entries", "markers"),
    [
        # Deleted twice: both markers hide the version.
        ((("DeleteMarkers", "2", 0.2, True), ("DeleteMarkers", "1", 0.5, False),
          ("Versions", "0", 9.0, False)), ("2", "1")),
        # Only what lies above the newest version; the earlier marker hides nothing any more.
        ((("DeleteMarkers", "3", 0.2, True), ("Versions", "2", 0.5, False),
          ("DeleteMarkers", "1", 0.6, False), ("Versions", "0", 9.0, False)), ("3",)),
        # Deleted long ago, and again lately: it was not there before.
        ((("DeleteMarkers", "2", 0.2, True), ("DeleteMarkers", "1", 9.0, False),
          ("Versions", "0", 99.0, False)), None),
        ((("DeleteMarkers", "1", 0.2, True),), None),  # no version is kept
    ],
)  # fmt: skip
def test_all_markers_above_the_newest_version_are_removed(entries, markers):
    """An object deleted twice has two; of one without a version nothing can come back."""
    pages = SimpleNamespace(paginate=lambda **_: [_versions_of("models/p/v", *entries)])
    client = SimpleNamespace(get_paginator=lambda _: pages)
    stage = SimpleNamespace(client=lambda _: client, outputs={"DataBucket": BUCKET})
    found = deleted(stage, "models/", HOUR_AGO)
    assert [entry.markers for entry in found] == ([] if markers is None else [markers])


def test_only_what_is_really_there_afterwards_is_said_to_be_back(target):
    """Somebody else deleted it for good meanwhile."""
    store, client = target.artifacts, target.client("s3")
    store.put("models/p/v1/bundle.json", b"x")
    version = client.list_object_versions(Bucket=BUCKET)["Versions"][0]["VersionId"]
    client.delete_object(Bucket=BUCKET, Key="models/p/v1/bundle.json")
    found = deleted(target, "models/p/", HOUR_AGO)
    client.delete_object(Bucket=BUCKET, Key="models/p/v1/bundle.json", VersionId=version)
    assert bring_back(target, found) == []


@pytest.mark.parametrize(
    "words", [["restore", "models/"], ["erase", "tickets", "--record-id", "INC-7"]]
)
def test_what_cannot_be_taken_back_is_not_done_unasked_with_json(words, target, monkeypatch):
    """A program that reads JSON says --yes itself."""
    target.artifacts.put("models/p/v1/bundle.json", b"x")
    target.client("s3").delete_object(Bucket=BUCKET, Key="models/p/v1/bundle.json")
    for module in ("restoration", "erasure"):
        monkeypatch.setattr(f"cli.{module}.Target", lambda _: target)
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 1
    assert "--json needs --yes" in result.output
    assert not target.artifacts.exists("models/p/v1/bundle.json")
