"""Each state machine may do what its states ask of AWS, in every context that it is deployed in.

The rights are those that AWS documents for each integration: "IAM policies for integrated
services" in the developer guide of Step Functions. A machine without them is refused when it is
created (`.sync` needs a rule of EventBridge), or fails when it comes to the state.
"""

import copy
import json

import pytest

from tests.support.templates import CONTEXTS, stacks

_RIGHTS = {
    "glue:startJobRun.sync": {
        "glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun",
    },
    "sagemaker:createTrainingJob.sync": {
        "sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob",
        "sagemaker:StopTrainingJob", "sagemaker:AddTags", "sagemaker:ListTags", "iam:PassRole",
        "events:PutTargets", "events:PutRule", "events:DescribeRule",
    },
    "states:startExecution": {"states:StartExecution"},
    "lambda:invoke.waitForTaskToken": {"lambda:InvokeFunction"},
}  # fmt: skip


@pytest.fixture(scope="module", params=CONTEXTS.values(), ids=CONTEXTS)
def platform(request):
    """Return (template, text of each machine by its logical id, context) of one context."""
    made = stacks(request.param)
    template = made.json("platform")
    machines = {}
    for name, resource in _of(template, "AWS::StepFunctions::StateMachine").items():
        key = json.dumps(resource["Properties"]["DefinitionS3Location"]["Key"])
        (file,) = [path for path in made.assets.glob("asset.*.json") if path.name[6:] in key]
        machines[name] = file.read_text()
    return template, machines, request.param


def _of(template, kind):
    return {n: r for n, r in template["Resources"].items() if r["Type"] == kind}


def _tasks(machine):
    for name, state in machine["States"].items():
        if state["Type"] == "Map":
            yield from _tasks(state["ItemProcessor"])
        if state["Type"] == "Task":
            yield name, state


def _granted(template, role):
    """Return the actions that a role's policies allow."""
    found = set()
    for policy in _of(template, "AWS::IAM::Policy").values():
        if {"Ref": role} not in policy["Properties"]["Roles"]:
            continue
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            found |= {actions} if isinstance(actions, str) else set(actions)
    return found


def _missing(template, machines):
    """Return (machine, state, right) of every right that a state needs and its machine lacks."""
    found = set()
    for name, text in machines.items():
        properties = template["Resources"][name]["Properties"]
        granted = _granted(template, properties["RoleArn"]["Fn::GetAtt"][0])
        for state, task in _tasks(json.loads(text)):
            resource = task["Resource"]
            integration = resource.removeprefix("arn:aws:states:::")
            needed = {"lambda:InvokeFunction"} if "${" in resource else _RIGHTS[integration]
            found |= {(name, state, right) for right in needed - granted}
    return found


def test_every_integration_of_every_machine_has_the_rights_that_aws_documents(platform):
    """Controls: a grant that is taken away is missed; so is the rule of a job that is waited for."""
    template, machines, _ = platform
    assert len(machines) == 6
    assert not _missing(template, machines)
    for right in ("lambda:InvokeFunction", "glue:GetJobRun", "states:StartExecution"):
        assert right in {r for *_, r in _missing(_without(template, right), machines)}


def _without(template, right):
    template = copy.deepcopy(template)
    for policy in _of(template, "AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            listed = [actions] if isinstance(actions, str) else actions
            statement["Action"] = [action for action in listed if action != right]
    return template


def test_a_machine_waits_for_training_jobs_only_where_an_image_is_named(platform):
    """Without the right to EventBridge's rule the stack could not be created."""
    template, machines, context = platform
    (training,) = [text for text in machines.values() if "PrepareRefit" in text]
    has_image = "noria:sagemaker_image" in context
    assert ("sagemaker" in training) == has_image
    assert has_image == ("TrainOnSagemaker" in dict(_tasks(json.loads(training))))
    if has_image:
        missing = _missing(_without(template, "events:PutRule"), machines)
        assert {(state, right) for _, state, right in missing} == {
            ("TrainOnSagemaker", "events:PutRule")
        }


def test_a_function_ends_before_the_state_that_waits_for_it(platform):
    """What is given up and commits later would serve, watched by no machine."""
    template, machines, _ = platform
    compared = 0
    for name, text in machines.items():
        arns = template["Resources"][name]["Properties"]["DefinitionSubstitutions"]
        for state, task in _tasks(json.loads(text)):
            if not task["Resource"].startswith("${"):
                continue
            function = arns[task["Resource"][2:-1]]["Fn::GetAtt"][0]
            timeout = template["Resources"][function]["Properties"]["Timeout"]
            assert timeout <= task["TimeoutSeconds"] - 15, (name, state)
            assert timeout <= 900
            compared += 1
    assert compared >= 25


def test_metrics_and_dashboards_of_stages_and_regions_keep_apart(platform):
    """What predict writes is what the alarms of the same stage read."""
    template, _, context = platform
    stage = context.get("noria:stage", "dev")
    alarms = [alarm["Properties"] for alarm in _of(template, "AWS::CloudWatch::Alarm").values()]
    own = {alarm["Namespace"] for alarm in alarms if not alarm["Namespace"].startswith("AWS/")}
    assert own == {f"Noria/{stage}"}
    told = {
        function["Properties"]["Environment"]["Variables"]["NORIA_METRIC_NAMESPACE"]
        for function in _of(template, "AWS::Lambda::Function").values()
        if "NORIA_DATA_BUCKET" in function["Properties"].get("Environment", {}).get("Variables", {})
    }
    assert told == own
    (board,) = _of(template, "AWS::CloudWatch::Dashboard").values()
    name = board["Properties"]["DashboardName"]
    assert name == {"Fn::Join": ["", [f"noria-{stage}-", {"Ref": "AWS::Region"}]]}
