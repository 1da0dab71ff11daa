"""CloudFormation's own schemas, by cfn-lint: types, values, references, in every context.

State machines are held against the schema of Amazon States Language, policies against the list of
actions and the resources that each takes.
"""

import json
import re

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from infra.names import ROOT
from tests.support.templates import CONTEXTS, stacks

_REGION = "eu-west-1"
_RESOURCES_OF_ACTIONS = "I3510"  # a hint of cfn-lint's, a fault of ours
_CONFIG = ManualArgs(regions=[_REGION], include_checks=[_RESOURCES_OF_ACTIONS])
ACCEPTED = {
    "W3005": "the CDK names what a resource depends on although a reference says so too",
}


def _found(template):
    matches = lint(json.dumps(template), config=_CONFIG)
    return {(match.rule.id, match.message) for match in matches if match.rule.id not in ACCEPTED}


# Every resource of every context: what the others have, the last one has too.
EVERYTHING = {"default": {}, "everything": CONTEXTS["prod"] | CONTEXTS["every option"]}


@pytest.mark.parametrize("context", EVERYTHING.values(), ids=EVERYTHING)
def test_every_template_is_one_that_cloudformation_takes(context):
    """Errors and warnings alike; each accepted one has its reason."""
    for name in ("storage", "platform"):
        assert not _found(stacks(context).json(name))


def test_what_cloudformation_would_refuse_is_found():
    """The controls: a misspelt property, a timeout beyond Lambda's, a reference to nothing, an
    action that does not exist, and one on a resource that it does not take."""
    template = stacks({}).json("platform")
    functions = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    first, second, third, *_ = (resource["Properties"] for resource in functions.values())
    first["MemorySizes"] = 1
    second["Timeout"] = 901
    third["Role"] = {"Fn::GetAtt": ["Nothing", "Arn"]}
    statement = {"Effect": "Allow", "Action": "s3:GetObjects", "Resource": "*"}
    misplaced = {**statement, "Action": "dynamodb:GetItem", "Resource": "arn:aws:s3:::b/*"}
    policy = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement, misplaced]}
        },
    }
    resources = {**functions, "Policy": policy}
    found = " ".join(text for _, text in _found({**template, "Resources": resources}))
    for said in ("MemorySizes", "901", "Nothing", "getobjects", "dynamodb:GetItem"):
        assert said in found


MACHINES = sorted((ROOT / "statemachines").glob("*.asl.json"))
# The schema has numbers there only; Step Functions takes expressions where the language is JSONata.
COMPUTED = {"{% $plan.max_concurrency %}", "{% $rollout.approval_seconds %}"}


def _found_in_machine(definition):
    names = set(re.findall(r"\$\{(\w+)\}", json.dumps(definition)))
    machine = {
        "RoleArn": "arn:aws:iam::123456789012:role/machine",
        "Definition": definition,
        "DefinitionSubstitutions": dict.fromkeys(names, "arn:aws:lambda:eu-west-1:1:function:f"),
    }
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine}
    found = _found({"Resources": {"Machine": resource}})
    accepted = {f"'{text}' is not of type 'number'" for text in COMPUTED}
    return {text for _, text in found} - accepted


@pytest.mark.parametrize("path", MACHINES, ids=[path.stem for path in MACHINES])
def test_every_state_machine_is_one_that_step_functions_takes(path):
    """By a schema that is not ours; what it finds in a broken one is the control."""
    definition = json.loads(path.read_text())
    assert _found_in_machine(definition) == set()
    state = next(iter(definition["States"].values()))
    state["Retries"] = state.pop("Retry", [])
    state.pop("Next", None)
    state.pop("End", None)
    said = " ".join(_found_in_machine(definition))
    assert "Retries" in said
    assert "['Next', 'End']" in said
