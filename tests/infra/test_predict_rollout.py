"""New code of predict comes by canary where the deployment asks for it, and at once elsewhere."""

import json

import pytest

from tests.support.templates import stacks


@pytest.fixture
def platform():
    """Return what makes the resources of the platform stack by type."""

    def of(**context):
        settings = {f"noria:{name}": value for name, value in context.items()}
        template = stacks(settings).json("platform")
        found = {}
        for name, resource in template["Resources"].items():
            found.setdefault(resource["Type"], {})[name] = resource
        return found

    return of


def _called(resources):
    """Return the logical ids that the API's methods call for predictions."""
    uris = [m["Properties"]["Integration"] for m in resources["AWS::ApiGateway::Method"].values()]
    called = {json.dumps(uri["Uri"]) for uri in uris}
    return {uri for uri in called if "operate" not in uri}  # it has no canary: it serves nobody


def test_in_prod_the_api_calls_an_alias_that_codedeploy_moves_and_takes_back(platform):
    """A version holds function and layers, so they change together."""
    resources = platform(stage="prod")
    ((alias, body),) = resources["AWS::Lambda::Alias"].items()
    (version,) = resources["AWS::Lambda::Version"]
    assert body["Properties"]["FunctionVersion"] == {"Fn::GetAtt": [version, "Version"]}
    (uri,) = _called(resources)
    assert alias in uri
    (group,) = resources["AWS::CodeDeploy::DeploymentGroup"]
    moved = body["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert moved["DeploymentGroupName"] == {"Ref": group}
    properties = resources["AWS::CodeDeploy::DeploymentGroup"][group]["Properties"]
    assert properties["DeploymentConfigName"].endswith("Canary10Percent5Minutes")
    assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"]
    watched = {alarm["Name"]["Ref"] for alarm in properties["AlarmConfiguration"]["Alarms"]}
    assert len(watched) == 2
    for name in watched:  # of this version alone: the old one's faults must not stop a mended one
        alarm = resources["AWS::CloudWatch::Alarm"][name]["Properties"]
        values = [dimension["Value"] for dimension in alarm["Dimensions"]]
        assert {"Fn::GetAtt": [version, "Version"]} in values
    assert watched <= set(resources["AWS::CloudWatch::Alarm"])


@pytest.mark.parametrize("context", [{}, {"stage": "prod", "predict_rollout": "at_once"}])
def test_elsewhere_the_api_calls_the_function(platform, context):
    """Nothing of CodeDeploy is there, and nothing is paid for it."""
    resources = platform(**context)
    assert "AWS::Lambda::Alias" not in resources
    assert "AWS::CodeDeploy::DeploymentGroup" not in resources
    (uri,) = _called(resources)
    assert "predict" in uri


def test_a_stage_may_ask_for_it(platform):
    """Whatever it is called."""
    assert platform(stage="dev", predict_rollout="canary")["AWS::Lambda::Alias"]
