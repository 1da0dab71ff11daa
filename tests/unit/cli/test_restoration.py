"""What was deleted comes back as it was, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

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
    found = [*deleted(target, "models/p/", HOUR_AGO)]
    assert [key for key, _ in found] == ["models/p/v1/bundle.json"]
    bring_back(target, found)
    assert store.get("models/p/v1/bundle.json") == b"new"
    assert not store.exists("models/q/v1/bundle.json")
    assert not [*deleted(target, "models/p/", HOUR_AGO)]


def test_what_was_deleted_earlier_or_written_again_is_no_mistake(target):
    """The hours say what counts; an object that is there is not replaced."""
    store, client = target.artifacts, target.client("s3")
    store.put("inbox/p/a.csv", b"first")
    client.delete_object(Bucket=BUCKET, Key="inbox/p/a.csv")
    assert not [*deleted(target, "inbox/", datetime.now(UTC) + timedelta(seconds=1))]
    store.put("inbox/p/a.csv", b"second")
    assert not [*deleted(target, "inbox/", HOUR_AGO)]
    assert store.get("inbox/p/a.csv") == b"second"
