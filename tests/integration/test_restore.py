"""What is lost comes back: deleted objects, overwritten nothing, a stack that was destroyed."""

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from cli.restoration import bring_back, deleted
from infra.local.deploy import run_cdk

STACK = "noria-kept-storage"
OWNED = {"AWS::S3::Bucket": "BucketName", "AWS::DynamoDB::Table": "TableName"}
KEY = "models/quick/v1/bundle.json"


def test_a_deleted_model_comes_back_and_nothing_is_written_over_it(target):
    """A write that wants the key to be free finds it taken again."""
    store, s3, bucket = target.artifacts, target.client("s3"), target.outputs["DataBucket"]
    assert store.put(KEY, b"first", if_absent=True)
    s3.delete_object(Bucket=bucket, Key=KEY)
    assert not store.exists(KEY)
    bring_back(target, deleted(target, "models/quick/", datetime.now(UTC) - timedelta(hours=1)))
    assert store.get(KEY) == b"first"
    assert not store.put(KEY, b"second", if_absent=True)
    assert store.get(KEY) == b"first"


def _resources(target):
    """Return {name in the template: (type, name in the account)} of the stack."""
    found = target.client("cloudformation").describe_stack_resources(StackName=STACK)
    return {
        resource["LogicalResourceId"]: (resource["ResourceType"], resource["PhysicalResourceId"])
        for resource in found["StackResources"]
    }


def test_a_storage_stack_that_was_destroyed_takes_its_bucket_and_tables_back(target, tmp_path):
    """`cdk destroy` keeps them; `cdk import` names them; `cdk deploy` adds the bucket's policy."""
    out, emulator = str(tmp_path / "out"), target.emulator
    app = f"{sys.executable} -m tests.support.storage_app"
    run_cdk(emulator, ["synth", "--quiet", "--output", out, "--app", app, "-c", "noria:stage=kept"])
    made = [STACK, "--app", out]
    run_cdk(emulator, ["deploy", *made, "--require-approval", "never"])
    before, s3 = _resources(target), target.client("s3")
    kept = {logical: found for logical, found in before.items() if found[0] in OWNED}
    (bucket,) = (name for kind, name in kept.values() if kind == "AWS::S3::Bucket")
    tables = [name for kind, name in kept.values() if kind == "AWS::DynamoDB::Table"]
    s3.put_object(Bucket=bucket, Key="inbox/p/rows.csv", Body=b"rows")
    for table in tables:
        item = {"pk": {"S": "p"}, "sk": {"S": "s"}}
        target.client("dynamodb").put_item(TableName=table, Item=item)
    client = target.client("cloudformation")
    client.update_termination_protection(StackName=STACK, EnableTerminationProtection=False)
    run_cdk(emulator, ["destroy", *made, "--force"])
    with pytest.raises(ClientError):
        client.describe_stacks(StackName=STACK)
    mapping = tmp_path / "kept.json"
    mapping.write_text(
        json.dumps({logical: {OWNED[kind]: name} for logical, (kind, name) in kept.items()})
    )
    run_cdk(emulator, ["import", *made, "--resource-mapping", str(mapping), "--force"])
    run_cdk(emulator, ["deploy", *made, "--require-approval", "never"])
    assert _resources(target) == before
    assert s3.get_object(Bucket=bucket, Key="inbox/p/rows.csv")["Body"].read() == b"rows"
    assert len(tables) == 2
    for table in tables:
        assert target.client("dynamodb").scan(TableName=table)["Count"] == 1
    assert "s3:if-none-match" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
