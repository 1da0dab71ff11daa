"""The emulator holds every call of a function against its role, as AWS does."""

import json

from infra.local.emulator import ACCOUNT, REGION
from tests.support.rights import RoleUse, used

ROLE = "role"


def test_a_call_that_the_role_does_not_grant_is_refused(target):
    """The control of all integration tests: take one right away, and the step fails."""
    functions, iam = target.client("lambda"), target.client("iam")
    names = [f["FunctionName"] for page in functions.get_paginator("list_functions").paginate()
             for f in page["Functions"]]  # fmt: skip
    (name,) = [n for n in names if "revertrollout" in n.lower()]
    role = functions.get_function(FunctionName=name)["Configuration"]["Role"].rpartition("/")[2]
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    granted = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    request = {"project": "messages", "run_id": "r", "model_version": "v", "reason": "because"}

    def answer():
        made = functions.invoke(FunctionName=name, Payload=json.dumps(request).encode())
        return json.loads(made["Payload"].read())

    def grant(document):
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))

    assert answer()["was_reverted"] is False
    less = [s for s in granted["Statement"] if "dynamodb:PutItem" not in s["Action"]]
    assert len(less) == len(granted["Statement"]) - 1
    grant({**granted, "Statement": less})
    try:
        refused = answer()
        assert refused["errorType"] == "SettingsError", refused
        assert "AccessDenied" in refused["errorMessage"]
    finally:
        grant(granted)
    assert answer()["was_reverted"] is False
    # What the table of unused grants is made of: role, action, resource.
    lines = (target.emulator.folder / "calls.jsonl").read_text().splitlines()
    table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{target.outputs['AliasTable']}"
    assert [role, "dynamodb:GetItem", table] in [json.loads(line) for line in lines]


def test_unused_grants_and_calls_without_a_grant_are_found():
    """By action and resource; what Lambda itself needs is left out."""
    bucket = "arn:aws:s3:::data"
    roles = {
        ROLE: [
            ("s3:GetObject", f"{bucket}/models/*"),
            ("s3:PutObject", f"{bucket}/runs/*"),
            ("logs:PutLogEvents", "*"),
        ],
        "idle": [("sns:Publish", "topic")],
    }
    calls = [
        (ROLE, "s3:GetObject", f"{bucket}/models/p/v1/manifest.json"),
        (ROLE, "s3:GetObject", f"{bucket}/labels/p/x"),
        ("another", "s3:GetObject", f"{bucket}/x"),
    ]
    assert used(roles, calls) == [
        RoleUse("idle", 0, (("sns:Publish", "topic"),), ()),
        RoleUse(
            ROLE, 2,
            (("s3:PutObject", f"{bucket}/runs/*"),),
            (("s3:GetObject", f"{bucket}/labels/p/x"),),
        ),
    ]  # fmt: skip
