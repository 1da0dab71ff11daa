"""The synthesized templates, by property, never by generated id."""

import ast
import json
import re

import pytest
from aws_cdk import App
from aws_cdk.assertions import Annotations, Match

from infra.config import read_deployment
from infra.constructs import alerting, sagemaker_training, steps
from infra.constructs.prediction_log import PredictionLogStreams
from infra.names import ROOT, project_names
from infra.stacks.platform import PlatformStack
from infra.stacks.storage import StorageStack
from noria.api.routes import ROUTES
from tests.support.templates import CONTEXTS, stacks


@pytest.fixture(scope="module")
def storage():
    """The storage template with the context of cdk.json."""
    return stacks({}).template("storage")


@pytest.fixture(scope="module")
def platform():
    """The platform template with the context of cdk.json."""
    return stacks({}).template("platform")


def _resources(template, kind):
    return template.find_resources(kind)


def _rules(template, source):
    rules = _resources(template, "AWS::Events::Rule").values()
    return [r for r in rules if r["Properties"]["EventPattern"]["source"] == [source]]


def _statements(template):
    for kind in ("AWS::IAM::Policy", "AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy"):
        for name, resource in _resources(template, kind).items():
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                listed = [actions] if isinstance(actions, str) else actions
                yield name, statement["Effect"], listed, statement


def test_data_is_kept_versioned_encrypted_and_private(storage):
    """The bucket and the table outlive the stack."""
    storage.has_resource(
        "AWS::S3::Bucket",
        {
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "VersioningConfiguration": {"Status": "Enabled"},
                "BucketEncryption": Match.any_value(),
                "PublicAccessBlockConfiguration": {
                    "BlockPublicAcls": True,
                    "BlockPublicPolicy": True,
                    "IgnorePublicAcls": True,
                    "RestrictPublicBuckets": True,
                },
            },
        },
    )
    storage.has_resource(
        "AWS::DynamoDB::Table",
        {
            "DeletionPolicy": "Retain",
            "Properties": {
                "DeletionProtectionEnabled": True,
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                "BillingMode": "PAY_PER_REQUEST",
            },
        },
    )


def test_the_bucket_refuses_plain_http_and_overwriting_versions(storage):
    """Immutability is the store's rule, not a habit of ours."""
    denied = [s for _, effect, _, s in _statements(storage) if effect == "Deny"]
    assert any(s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}} for s in denied)
    (overwrite,) = [s for s in denied if "Null" in s["Condition"]]
    assert overwrite["Condition"] == {"Null": {"s3:if-none-match": "true"}}
    for prefix in ("/models/*", "/datasets/*", "/audit/*"):
        assert prefix in json.dumps(overwrite["Resource"])
    assert overwrite["Action"] == "s3:PutObject"


def test_no_statement_allows_a_wildcard_action(storage, platform):
    """Least privilege, by hand."""
    seen = 0
    for template in (storage, platform):
        for name, effect, actions, _ in _statements(template):
            seen += 1
            if effect == "Allow":
                assert not [action for action in actions if "*" in action], name
    assert seen > 30


def test_wildcard_resources_only_where_the_service_knows_no_other(platform):
    """X-Ray, log delivery and task tokens have no resources to name."""
    nameless = ("xray:", "logs:", "states:SendTask")
    for name, _, actions, statement in _statements(platform):
        if statement.get("Resource") == "*":
            assert all(action.startswith(nameless) for action in actions), name


def test_every_function_is_bounded_traced_and_logged_with_retention(platform):
    """Timeout, memory, tracing, a log group of its own, the chosen architecture."""
    functions = _resources(platform, "AWS::Lambda::Function")
    steps = {path.parent.name for path in ROOT.glob("lambdas/*/handler.py")}
    assert len(functions) == len(steps - {"notify"})  # without chat services it is not there
    for name, function in functions.items():
        properties = function["Properties"]
        assert 1 <= properties["Timeout"] <= 900, name
        assert properties["MemorySize"] >= 512, name
        answers = properties["Description"].split()[-1] in ("predict", "operate", "authorize")
        mode = "PassThrough" if answers else "Active"  # requests are traced where one asks for it
        assert properties["TracingConfig"] == {"Mode": mode}, name
        assert "LogGroup" in properties["LoggingConfig"], name
        assert properties["Architectures"] == ["arm64"], name
        assert properties["Runtime"] == "python3.13", name
        assert len(properties["Layers"]) <= 5, name
    for name, group in _resources(platform, "AWS::Logs::LogGroup").items():
        assert group["Properties"]["RetentionInDays"] == 30, name


def test_requests_are_traced_where_the_context_asks_for_it(platform):
    """At low traffic X-Ray takes each of them, and a trace costs more than the request."""
    traced = stacks(CONTEXTS["every option"]).template("platform")
    for template, wanted in ((platform, False), (traced, True)):
        (stage,) = _resources(template, "AWS::ApiGateway::Stage").values()
        assert stage["Properties"]["TracingEnabled"] is wanted
    modes = {
        f["Properties"]["TracingConfig"]["Mode"]
        for f in _resources(traced, "AWS::Lambda::Function").values()
    }
    assert modes == {"Active"}


def test_only_the_evaluation_and_a_refit_after_it_may_read_test_rows(platform):
    """ "Read once before the decision" is a right, not a habit."""
    readers = set()
    for name, effect, actions, statement in _statements(platform):
        text = json.dumps(statement["Resource"])
        if effect == "Allow" and "s3:GetObject" in actions and '"/datasets/*"' in text:
            readers.add(name)
        assert "/test/" not in text
    wanted = {"evaluatechallenger", "preparerefit", "checkrefit"}
    assert len(readers) == len(wanted)
    assert all(any(name in reader.lower() for reader in readers) for name in wanted)


def test_only_the_promotion_may_write_aliases_and_only_the_registry_models(platform):
    """Each right has one owner."""
    kinds = {
        "project#*": "aliases",
        "claims#*": "claims",
        "state#*": "state",
        "audit": "audit log",
    }
    owners: dict[str, set[str]] = {what: set() for what in (*kinds.values(), "models")}
    for name, effect, actions, statement in _statements(platform):
        if effect == "Allow" and "dynamodb:PutItem" in actions:
            (keys,) = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            owners[kinds[keys]].add(name.lower())
        is_write = effect == "Allow" and "s3:PutObject" in actions
        if is_write and "/models/" in json.dumps(statement["Resource"]):
            owners["models"].add(name.lower())
    wanted = {
        "aliases": (
            "promotechallenger",
            "advancerollout",
            "revertrollout",
            "endprobation",
            "operate",
        ),
        "claims": ("raisealert",),
        "state": ("checkdrift", "checkbatch", "requestapproval"),
        "models": ("registermodelversion",),
        "audit log": ("operate",),
    }
    for what, names in wanted.items():
        assert len(owners[what]) == len(names)
        assert all(any(name in owner for owner in owners[what]) for name in names)


def test_every_method_asks_the_authorizer_and_every_tier_has_a_plan(platform):
    """No route is open; what a caller sends names no tier; a key is remembered for a minute."""
    methods = _resources(platform, "AWS::ApiGateway::Method")
    assert len(methods) == len(ROUTES)
    assert all(m["Properties"]["ApiKeyRequired"] is True for m in methods.values())
    assert {m["Properties"]["AuthorizationType"] for m in methods.values()} == {"CUSTOM"}
    (api,) = _resources(platform, "AWS::ApiGateway::RestApi").values()
    assert api["Properties"]["ApiKeySourceType"] == "AUTHORIZER"  # pragma: allowlist secret
    (authorizer,) = _resources(platform, "AWS::ApiGateway::Authorizer").values()
    assert authorizer["Properties"]["Type"] == "REQUEST"
    assert authorizer["Properties"]["AuthorizerResultTtlInSeconds"] == 60
    assert authorizer["Properties"]["IdentitySource"] == "method.request.header.x-api-key"
    platform.resource_count_is("AWS::ApiGateway::ApiKey", 2)
    plans = _resources(platform, "AWS::ApiGateway::UsagePlan")
    assert all({"Throttle", "Quota"} <= set(p["Properties"]) for p in plans.values())
    assert len(plans) == 2
    problems = _resources(platform, "AWS::ApiGateway::GatewayResponse")
    by_kind = {p["Properties"]["ResponseType"]: p["Properties"] for p in problems.values()}
    header = "gatewayresponse.header.{}".format
    for found in by_kind.values():
        assert found["ResponseParameters"][header("x-request-id")] == "context.requestId"
    unknown = by_kind["UNAUTHORIZED"]
    assert unknown["StatusCode"] == "401"
    assert unknown["ResponseParameters"][header("www-authenticate")] == "'ApiKey realm=\"noria\"'"


def test_browsers_of_named_origins_may_ask_without_a_key_and_no_other_route_is_open():
    """The preflight alone; by default there is none."""
    everything = stacks(CONTEXTS["every option"]).template("platform")
    methods = _resources(everything, "AWS::ApiGateway::Method").values()
    asked = [m["Properties"] for m in methods if m["Properties"]["HttpMethod"] == "OPTIONS"]
    assert len(methods) - len(asked) == len(ROUTES)
    assert len(asked) > len({route.path for route in ROUTES})  # parts of paths have one too
    for preflight in asked:
        assert preflight["Integration"]["Type"] == "MOCK"
        said = json.dumps(preflight["Integration"])
        assert "https://desk.example.org" in said
        assert "http://localhost:5173" in said
        assert "x-api-key" in said
    others = [m["Properties"] for m in methods if m["Properties"]["HttpMethod"] != "OPTIONS"]
    assert all(method["ApiKeyRequired"] is True for method in others)
    functions = _resources(everything, "AWS::Lambda::Function").values()
    told = [
        f["Properties"]["Environment"]["Variables"].get("NORIA_CORS_ORIGINS")
        for f in functions
        if "Environment" in f["Properties"]
    ]
    # Of predict and of operate; the authorizer answers API Gateway alone.
    assert told.count("https://desk.example.org,http://localhost:5173") == 2


@pytest.mark.parametrize("origin", ["*", "desk.example.org", "https://a.example/path", ""])
def test_an_origin_is_a_scheme_and_a_host(origin):
    """Any origin, or an address of a page, is refused with the key's name."""
    with pytest.raises(ValueError, match="noria:cors_origins"):
        read_deployment({"noria:cors_origins": origin})


def test_every_route_is_deployed_with_the_function_that_answers_it(platform):
    """A route on one side only would answer 403 or 404."""
    parts = _resources(platform, "AWS::ApiGateway::Resource")

    def path(resource):
        if "Ref" not in resource:  # the root
            return ""
        found = parts[resource["Ref"]]["Properties"]
        return f"{path(found['ParentId'])}/{found['PathPart']}"

    deployed = set()
    for method in _resources(platform, "AWS::ApiGateway::Method").values():
        about = method["Properties"]
        uri = json.dumps(about["Integration"]["Uri"]).lower()
        (function,) = [name for name in ("predict", "operate") if f"prediction{name}" in uri]
        deployed.add((about["HttpMethod"], path(about["ResourceId"]), function))
    assert deployed == {(route.method, route.path, route.function) for route in ROUTES}


def test_the_state_machine_is_traced_and_logged_without_data(platform):
    """Events are kept, rows and texts are not."""
    platform.has_resource_properties(
        "AWS::StepFunctions::StateMachine",
        {
            "TracingConfiguration": {"Enabled": True},
            "LoggingConfiguration": {"IncludeExecutionData": False, "Level": "ALL"},
        },
    )


def test_nothing_runs_when_idle(storage, platform):
    """No server, no provisioned capacity, no NAT."""
    kinds = {r["Type"] for t in (storage, platform) for r in t.to_json()["Resources"].values()}
    paid = ("EC2", "ECS", "RDS", "ElastiCache", "SageMaker::Endpoint", "KMS", "SecretsManager")
    assert not [kind for kind in kinds if any(f"AWS::{p}" in kind for p in paid)]


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"noria:stag": "x"}, "allowed keys: noria:stage"),
        ({"noria:stage": "Prod!"}, "noria:stage"),
        ({"noria:size": "huge"}, "noria:size"),
        ({"noria:log_retention_days": 8}, "noria:log_retention_days"),
    ],
)
def test_unknown_or_wrong_settings_are_refused(context, said):
    """A misspelt key must not deploy with a default."""
    with pytest.raises(ValueError, match=said):
        read_deployment(context)


def test_numbers_given_on_the_command_line_arrive_as_text():
    """`cdk deploy -c noria:log_retention_days=90`."""
    context = {"noria:log_retention_days": "90", "noria:requests_per_second": "5"}
    deployment = read_deployment(context)
    assert (deployment.log_retention_days, deployment.requests_per_second) == (90, 5)


def test_a_failed_log_delivery_lands_where_the_role_may_write_and_names_its_error(platform):
    """Firehose refuses an error prefix without the error type."""
    for stream in _resources(platform, "AWS::KinesisFirehose::DeliveryStream").values():
        s3 = stream["Properties"]["ExtendedS3DestinationConfiguration"]
        assert "!{firehose:error-output-type}" in s3["ErrorOutputPrefix"]
        assert s3["ErrorOutputPrefix"].startswith("predictions-failed/")
    rights = json.dumps([s for *_, s in _statements(platform)])
    assert "/predictions-failed/*" in rights


def test_foreign_context_is_left_alone():
    """CDK's own feature flags are not ours to judge."""
    assert read_deployment({"@aws-cdk/x": True, "noria:stage": "prod"}).stack_name("a") == (
        "noria-prod-a"
    )


def test_chat_services_bring_a_queue_a_function_and_a_secret_and_nothing_without_them(
    monkeypatch, platform
):
    """A queue that a function reads is polled all month, whether anything is in it or not."""
    kinds = ("AWS::SecretsManager::Secret", "AWS::Lambda::EventSourceMapping", "AWS::SQS::Queue")
    assert [len(_resources(platform, kind)) for kind in kinds] == [0, 1, 3]
    monkeypatch.setattr(alerting, "chat_is_wanted", lambda: True)
    chatting = stacks({"noria:check_days": "88"}).template("platform")
    assert [len(_resources(chatting, kind)) for kind in kinds] == [1, 2, 5]
    names = {
        f["Properties"]["Description"]
        for f in _resources(chatting, "AWS::Lambda::Function").values()
    }
    assert "Noria step notify" in names
    n_alarms = [len(_resources(t, "AWS::CloudWatch::Alarm")) for t in (platform, chatting)]
    assert n_alarms[1] == n_alarms[0] + 1  # of what could not be delivered
    (filter_policy,) = [
        s["Properties"]["FilterPolicy"]
        for s in _resources(chatting, "AWS::SNS::Subscription").values()
    ]
    assert filter_policy == {"level": [{"exists": True}]}


def test_everything_that_may_fail_unseen_has_an_alarm(platform):
    """Errors, throttling, latency, lost and late logs, no champion, failures, dead letters."""
    alarms = _resources(platform, "AWS::CloudWatch::Alarm")
    assert len(alarms) == 14 + len(project_names())
    late = [a["Properties"] for a in alarms.values()
            if a["Properties"]["MetricName"] == "DeliveryToS3.DataFreshness"]  # fmt: skip
    streams = {s["Properties"]["DeliveryStreamName"]
               for s in _resources(platform, "AWS::KinesisFirehose::DeliveryStream").values()}  # fmt: skip
    assert {alarm["Dimensions"][0]["Value"] for alarm in late} == streams
    for name, alarm in alarms.items():
        properties = alarm["Properties"]
        assert properties["AlarmActions"], name
        assert properties["TreatMissingData"] == "notBreaching", name
        assert properties["AlarmDescription"].startswith("Noria: "), name
    platform.resource_count_is("AWS::CloudWatch::Dashboard", 1)
    (policy,) = _resources(platform, "AWS::SNS::TopicPolicy").values()
    allowed = [
        s for s in policy["Properties"]["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"
    ]
    assert [s["Principal"] for s in allowed] == [{"Service": "cloudwatch.amazonaws.com"}]


def test_predict_writes_at_most_six_metrics():
    """Custom metrics cost by name; those of faults only in months that had one."""
    names = {
        keyword.arg
        for path in (ROOT / "layers/noria_aws/python/noria_aws").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "emit_metrics"
        for keyword in call.keywords
    }
    assert names == {
        "Predictions", "LatencyMs", "RequestsFailed", "NoChampion", "ModelsRefused",
        "PredictionsNotLogged",
    }  # fmt: skip


def test_each_project_has_both_schedules_and_what_they_fail_at_is_kept(platform):
    """One that looks, one that may train."""
    schedules = _resources(platform, "AWS::Scheduler::Schedule").values()
    assert len(schedules) == 2 * len(project_names())
    for schedule in schedules:
        properties = schedule["Properties"]
        assert properties["State"] == "ENABLED"
        assert "DeadLetterConfig" in properties["Target"]
        assert "<aws.scheduler.scheduled-time>" in json.dumps(properties["Target"]["Input"])


def test_on_the_emulator_time_is_not_the_schedules():
    """`noria simulate` plays it."""
    platform = stacks({"noria:stage": "local"}).template("platform")
    states = {
        s["Properties"]["State"] for s in _resources(platform, "AWS::Scheduler::Schedule").values()
    }
    assert states == {"DISABLED"}


def test_log_chunks_and_files_start_their_work_and_failures_are_kept(platform):
    """Events retry, then a queue keeps them."""
    rules = _rules(platform, "aws.s3")
    by_prefix = {
        rule["Properties"]["EventPattern"]["detail"]["object"]["key"][0]["prefix"]: rule
        for rule in rules
    }
    assert set(by_prefix) == {
        "batch-inbox/", "labels-inbox/", "predictions/", "predictions-failed/",
    }  # fmt: skip
    (given_up,) = by_prefix.pop("predictions-failed/")["Properties"]["Targets"]
    assert "PredictionLogDeadLetters" in json.dumps(given_up["Arn"])  # which has an alarm
    for rule in by_prefix.values():
        (target,) = rule["Properties"]["Targets"]
        assert target["RetryPolicy"]["MaximumRetryAttempts"] == 5
        assert "DeadLetterConfig" in target


def test_what_a_stream_cannot_deliver_is_logged(platform):
    """By the stream's own role, one log stream a project."""
    for stream in _resources(platform, "AWS::KinesisFirehose::DeliveryStream").values():
        options = stream["Properties"]["ExtendedS3DestinationConfiguration"]
        assert options["CloudWatchLoggingOptions"]["Enabled"]
    rights = [(name, actions) for name, _, actions, _ in _statements(platform)]
    assert any("PredictionLogRole" in n and "logs:PutLogEvents" in a for n, a in rights)


def test_a_stage_whose_alarms_reach_nobody_is_warned_of():
    """Loudly, at each synthesis; the emulator has nobody to write to."""
    for context, is_warned in (
        ({}, True), (CONTEXTS["prod"], False), ({"noria:stage": "local"}, False)
    ):  # fmt: skip
        found = Annotations.from_stack(stacks(context).platform).find_warning(
            "*", Match.any_value()
        )
        assert any("reach nobody" in str(one.entry.data) for one in found) == is_warned


def test_predict_keeps_executions_of_its_own_where_that_is_asked_for():
    """A batch of a thousand parts shares the account's pool; off by default, as new accounts need."""
    for context, reserved in (({}, None), (CONTEXTS["every option"], 25)):
        platform = stacks(context).template("platform")
        found = [
            f["Properties"].get("ReservedConcurrentExecutions")
            for name, f in _resources(platform, "AWS::Lambda::Function").items()
            if name.startswith("Predictionpredict")
        ]
        assert found == [reserved]


def test_a_project_whose_stream_could_not_be_named_is_refused():
    """Firehose takes 64 characters; found at synthesis, not half-way through a deployment."""
    app = App()
    deployment = read_deployment({})
    storage = StorageStack(app, "storage", deployment=deployment)
    with pytest.raises(ValueError, match="at most 64 characters"):
        PredictionLogStreams(
            storage, "Log", deployment=deployment, storage=storage, projects=["p" * 50]
        )


def test_every_execution_that_does_not_succeed_is_told(platform):
    """Of every state machine; EventBridge tries for a day, then a queue keeps the event."""
    (rule,) = _rules(platform, "aws.states")
    detail = rule["Properties"]["EventPattern"]["detail"]
    assert detail["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]
    machines = _resources(platform, "AWS::StepFunctions::StateMachine")
    assert {arn["Ref"] for arn in detail["stateMachineArn"]} == set(machines)
    (target,) = rule["Properties"]["Targets"]
    assert "raisealert" in json.dumps(target["Arn"]).lower()
    assert target["RetryPolicy"]["MaximumRetryAttempts"] == 185
    assert "DeadLetterConfig" in target


def test_no_state_machine_publishes_by_itself(platform):
    """An alert is raised once, by the function that counts and claims."""
    rights = [actions for name, _, actions, _ in _statements(platform) if "StateMachine" in name]
    assert any("lambda:InvokeFunction" in actions for actions in rights)
    assert not any("sns:Publish" in actions for actions in rights)


def _spelled_prefixes():
    """Return the first part of every key that the project spells, and of what AWS writes itself."""
    text = (ROOT / "layers/noria/python/noria/storage/keys.py").read_text(encoding="utf-8")
    found = set(re.findall(r'return f"([a-z-]+)/\{', text))
    return {f"{name}/" for name in found} | {"predictions/", "predictions-failed/"}


def test_every_prefix_of_the_bucket_has_a_stated_retention(storage):
    """What nobody thought of would be kept, and paid for, for ever."""
    deployment = read_deployment({"noria:check_days": "30"})
    stated = deployment.retention()
    spelled = _spelled_prefixes()
    assert len(spelled) >= 15
    assert spelled - set(stated) == set()
    parts = [(name, part) for name in project_names() for part in ("checks", "days")]
    checks = {f"monitoring/{name}/{part}/" for name, part in parts}
    assert set(stated) - spelled == checks
    assert {stated[prefix] for prefix in checks} == {30}
    # What a model version rests on is never taken from it.
    kept = {prefix for prefix, days in stated.items() if days is None}
    assert {"inbox/", "datasets/", "models/", "reports/"} <= kept
    (bucket,) = _resources(storage, "AWS::S3::Bucket").values()
    rules = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    deployed = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "Prefix" in rule}
    usual = read_deployment({}).retention()
    assert deployed == {prefix: days for prefix, days in usual.items() if days is not None}


def test_the_bucket_tells_eventbridge_without_a_function_of_its_own(storage):
    """The data stack holds data."""
    (bucket,) = _resources(storage, "AWS::S3::Bucket").values()
    told = bucket["Properties"]["NotificationConfiguration"]
    assert told == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert not _resources(storage, "AWS::Lambda::Function")


def test_training_jobs_have_their_role_code_and_nothing_else():
    """Only where an image is named; they read no test rows."""
    template = stacks(CONTEXTS["every option"]).template("platform")
    found = [
        (listed, json.dumps(statement["Resource"]))
        for _, _, listed, statement in _statements(template)
    ]
    starts = [resource for listed, resource in found if "sagemaker:CreateTrainingJob" in listed]
    assert len(starts) == 1
    assert "training-job/noria-*" in starts[0]
    roles = [r for r in _resources(template, "AWS::IAM::Role").values()
             if "sagemaker.amazonaws.com" in json.dumps(r)]  # fmt: skip
    assert len(roles) == 1
    assert not [r for listed, r in found if "s3:GetObject" in listed and "datasets/*/test" in r]


def test_glue_jobs_have_their_code_and_whatever_trains_never_sees_the_test_rows(platform):
    """Not in a dataset, and not in the inbox they were split from."""
    jobs = [job["Properties"] for job in _resources(platform, "AWS::Glue::Job").values()]
    assert len(jobs) == 2
    for job in jobs:
        assert (job["GlueVersion"], job["Command"]["Name"]) == ("6.0", "glueetl")
        assert job["DefaultArguments"]["--python-modules-installer-option"] == "-r"
    found = [
        (owner, listed, json.dumps(statement["Resource"]))
        for owner, _, listed, statement in _statements(platform)
    ]
    reads = {
        of: "".join(r for owner, listed, r in found
                    if f"GlueJobs{of}Role" in owner and "s3:GetObject" in listed)
        for of in ("Training", "Analysis")
    }  # fmt: skip
    assert "datasets/*/train/*" in reads["Training"]
    assert "inbox/" not in reads["Training"]
    assert "inbox/" in reads["Analysis"]
    assert "datasets/" not in reads["Analysis"]
    assert not [r for r in reads.values() if "datasets/*/test" in r]
    starters = {
        of: [r for owner, listed, r in found if "glue:StartJobRun" in listed and of in owner]
        for of in ("Training", "Analysis")
    }
    for of, resources in starters.items():
        assert len(resources) == 1
        assert f"GlueJobs{of}" in resources[0]


def test_packages_are_written_and_followed_only_where_a_group_is_named(platform):
    """Each right at the group's name; no rule, no right without one."""
    assert "sagemaker" not in json.dumps(_resources(platform, "AWS::Events::Rule"))
    template = stacks(CONTEXTS["every option"]).template("platform")
    (rule,) = [r["Properties"] for r in _resources(template, "AWS::Events::Rule").values()
               if "aws.sagemaker" in json.dumps(r)]  # fmt: skip
    detail = rule["EventPattern"]["detail"]
    assert detail["ModelPackageGroupName"] == [{"prefix": "team-"}]
    assert detail["ModelApprovalStatus"] == ["Approved", "Rejected"]
    found = {
        action: (name, json.dumps(statement["Resource"]))
        for name, _, listed, statement in _statements(template)
        if "operate" not in name  # it answers for people
        for action in listed
    }
    assert "registermodelversion" in found["sagemaker:CreateModelPackage"][0].lower()
    assert "model-package/team-*" in found["sagemaker:CreateModelPackage"][1]
    assert "followapproval" in found["sagemaker:DescribeModelPackage"][0].lower()
    assert "requestapproval" in found["sagemaker:ListModelPackages"][0].lower()
    assert "Answers" in found["states:SendTaskSuccess"][0]


@pytest.mark.parametrize(
    ("tag", "is_taken"),
    [("1.2-1-cpu-py3", False), ("1.4-2-cpu-py310", False), ("1.4-2-py312", True),
     ("1.9-0-cpu-py3", True), ("1.10-0-cpu-py3", True), ("2.0-1-cpu-py3", True)],
)  # fmt: skip
def test_a_prebuilt_image_must_carry_a_python_that_the_code_runs_on(tag, is_taken):
    """Said at synthesis, with what to take; an image of one's own is not judged by its tag."""
    registry = "1.dkr.ecr.eu-west-1.amazonaws.com/"
    read_deployment({"noria:sagemaker_image": f"{registry}own:{tag}"})
    address = f"{registry}sagemaker-scikit-learn:{tag}"
    if is_taken:
        assert read_deployment({"noria:sagemaker_image": address}).sagemaker_image == address
    else:
        with pytest.raises(ValueError, match=r"noria:sagemaker_image.*take 1\.4-2-py312"):
            read_deployment({"noria:sagemaker_image": address})


def test_without_an_image_no_project_may_train_on_sagemaker(platform, monkeypatch):
    """Said at synthesis, not by a failed training."""
    assert "sagemaker" not in json.dumps(_resources(platform, "AWS::IAM::Policy"))
    monkeypatch.setattr(sagemaker_training, "trained_on_sagemaker", lambda: ["loans"])
    app = App(context={"aws:cdk:bundling-stacks": []})
    deployment = read_deployment({})
    storage = StorageStack(app, "storage", deployment=deployment)
    with pytest.raises(ValueError, match=r"loans.*noria:sagemaker_image"):
        PlatformStack(app, "platform", deployment=deployment, storage=storage)


@pytest.mark.parametrize("is_wanted", [True, False])
def test_word_vectors_come_where_a_spec_names_an_embedding(is_wanted, monkeypatch):
    """To the one function that reads them; nobody else pays for 33 MB."""
    monkeypatch.setattr(steps, "embedding_is_wanted", lambda: is_wanted)
    deployment = read_deployment({})
    having = {
        name
        for name, step in steps.STEPS.items()
        if "embedding_runtime" in steps._runtime(step, deployment, 60).layers
    }
    assert having == ({"fit_feature_views"} if is_wanted else set())


def test_the_access_log_names_the_key_by_its_id(platform):
    """Who asked is known afterwards; the key's value and the body are in no log."""
    (stage,) = _resources(platform, "AWS::ApiGateway::Stage").values()
    log = json.loads(stage["Properties"]["AccessLogSetting"]["Format"])
    assert log["keyId"] == "$context.authorizer.principalId"
    assert "$context.identity.apiKey" not in log.values()


def test_a_service_acts_for_this_account_only(platform):
    """Whoever makes the service act for a role of ours has to be of the same account.

    Lambda and API Gateway's logs do not say for whom they act; passing them a role from elsewhere
    is impossible.
    """
    trusts = {}
    for role in _resources(platform, "AWS::IAM::Role").values():
        (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        name = statement["Principal"]["Service"].partition(".")[0]
        equal = statement.get("Condition", {}).get("StringEquals", {})
        trusts.setdefault(name, set()).add("aws:SourceAccount" in equal)
    assert trusts.pop("lambda") == trusts.pop("apigateway") == {False}
    assert set(trusts) == {"states", "events", "scheduler", "firehose", "glue"}
    assert set().union(*trusts.values()) == {True}


def test_logs_of_state_machines_lie_where_log_delivery_is_open_already(platform):
    """Elsewhere each adds to a policy of the account whose size is limited; names are the stage's."""
    groups = _resources(platform, "AWS::Logs::LogGroup")
    for machine in _resources(platform, "AWS::StepFunctions::StateMachine").values():
        logged = machine["Properties"]["LoggingConfiguration"]["Destinations"][0]
        group = groups[logged["CloudWatchLogsLogGroup"]["LogGroupArn"]["Fn::GetAtt"][0]]
        assert group["Properties"]["LogGroupName"].startswith("/aws/vendedlogs/states/platform/")


def test_every_resource_is_tagged_with_its_stage_for_the_bill():
    """CloudFormation gives the tags of a stack to all it creates."""
    prod = stacks(CONTEXTS["prod"])
    for stack in (prod.storage, prod.platform):
        assert stack.tags.tag_values() == {"noria:stage": "prod"}
