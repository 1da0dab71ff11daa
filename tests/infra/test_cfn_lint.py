"""CloudFormation's own schemas, by cfn-lint: types, values, references, in every context."""

import json

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from tests.support.templates import CONTEXTS, synthesized

_REGION = "eu-west-1"
ACCEPTED = {
    "W3005": "the CDK names what a resource depends on although a reference says so too",
}


def _found(template):
    matches = lint(json.dumps(template), config=ManualArgs(regions=[_REGION]))
    return {(match.rule.id, match.message) for match in matches if match.rule.id not in ACCEPTED}


@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
def test_every_template_is_one_that_cloudformation_takes(context, tmp_path):
    """Errors and warnings alike; each accepted one has its reason."""
    for template in synthesized(context, tmp_path).values():
        assert not _found(template)


def test_what_cloudformation_would_refuse_is_found(tmp_path):
    """The controls: a misspelt property, a timeout beyond Lambda's, a reference to nothing."""
    template = synthesized({}, tmp_path)["platform"]
    functions = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    first, second, third, *_ = (resource["Properties"] for resource in functions.values())
    first["MemorySizes"] = 1
    second["Timeout"] = 901
    third["Role"] = {"Fn::GetAtt": ["Nothing", "Arn"]}
    found = " ".join(text for _, text in _found({**template, "Resources": functions}))
    for said in ("MemorySizes", "901", "Nothing"):
        assert said in found
