"""The HTTPS API: API Gateway in front of two functions, an authorizer for keys, no open route."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.config import Deployment, request_limits
from infra.constructs.access import AUDIT_ITEMS, COUNTER_ITEMS, Access
from infra.constructs.code import Layers
from infra.constructs.function import NoriaFunction, Runtime, allow, log_group, service
from infra.constructs.prediction_log import PredictionLogStreams
from infra.constructs.steps import ALIAS_KEYS, STATE_KEYS
from infra.names import API_STAGE
from infra.stacks.storage import StorageStack
from noria.api.routes import ROUTES

_MEMORY_MB, _TIMEOUT_SECONDS = 512, 29  # API Gateway waits 29 s
_READS = ("models/*", "monitoring/*", "batches/*", "batch-results/*")
_WRITES = (
    "labels/*",
    "batch-inbox/*",
    "batches/*/job.json",
    "batches/*/cancelled.json",
)
_CHALLENGE = 'ApiKey realm="noria"'  # as the functions ask for a key
_EXPOSED_HEADERS = "x-request-id,retry-after"  # as the functions name them to browsers
_ALIAS = "serving"  # of predict, where its code comes by canary
_WAIT_SECONDS = 5  # before a request that could not be answered is sent again
_NO_KEY = "UNAUTHORIZED"  # or one that opens nothing
_DETAILS = {  # where API Gateway says nothing, or nothing that helps
    _NO_KEY: "send the header x-api-key, with a key that is good",
    "INVALID_API_KEY": "make a key of another tier",  # pragma: allowlist secret
    "AUTHORIZER_FAILURE": "the table of keys did not answer",
}
_GATEWAY_PROBLEMS = {
    "ACCESS_DENIED": (403, "The key does not cover this"),
    _NO_KEY: (401, "An API key is required"),
    "INVALID_API_KEY": (403, "The tier of the key is not deployed any more"),
    "AUTHORIZER_FAILURE": (503, "The key could not be looked up; try again"),
    "MISSING_AUTHENTICATION_TOKEN": (404, "There is no such route"),
    "REQUEST_TOO_LARGE": (413, "The body is too large"),
    "THROTTLED": (429, "Too many requests"),
    "QUOTA_EXCEEDED": (429, "The daily quota is used up"),
    "INTEGRATION_TIMEOUT": (504, "The answer took too long"),
    "DEFAULT_4XX": (None, "The request was refused"),
    "DEFAULT_5XX": (None, "The service failed"),
}


_FIELD = apigateway.AccessLogField
_ACCESS_LOG = {  # who called what and what came of it; no body, no value of a key
    "requestId": _FIELD.context_request_id(),
    "keyId": _FIELD.context_authorizer_principal_id(),
    "ip": _FIELD.context_identity_source_ip(),
    "requestTime": _FIELD.context_request_time(),
    "httpMethod": _FIELD.context_http_method(),
    "resourcePath": _FIELD.context_resource_path(),
    "status": _FIELD.context_status(),
    "protocol": _FIELD.context_protocol(),
    "responseLength": _FIELD.context_response_length(),
}


class PredictionApi(Construct):
    """Routes, keys and limits in front of predict, and of what admins start and decide."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        deployment: Deployment,
        storage: StorageStack,
        layers: Layers,
        environment: Mapping[str, str],
        streams: PredictionLogStreams,
        machines: Mapping[str, sfn.StateMachine],
    ) -> None:
        super().__init__(scope, name)
        common: dict[str, Any] = {"deployment": deployment, "layers": layers}
        access = Access(self, "Access", storage=storage, environment=environment, **common)
        environment = {**environment, **_answering(deployment)}
        predict = NoriaFunction(
            self,
            "predict",
            **common,
            runtime=Runtime(
                ("serving_runtime",),
                _MEMORY_MB,
                _TIMEOUT_SECONDS,
                reserved=deployment.predict_concurrency,
                is_traced=deployment.trace_requests,
            ),
            environment={
                **environment,
                "NORIA_PREDICTION_STREAM_PREFIX": streams.prefix,
                "NORIA_FALLBACK_QUEUE_URL": streams.fallback.queue_url,
            },
            statements=_rights(storage, streams),
        )
        self.throttles = predict.function.metric_throttles(period=Duration.minutes(5))
        operating = {
            "NORIA_TRAINING_MACHINE": machines["Training"].state_machine_arn,
            "NORIA_MONITORING_MACHINE": machines["Monitoring"].state_machine_arn,
        }
        operate = NoriaFunction(
            self,
            "operate",
            **common,
            runtime=Runtime(
                ("training_runtime",),
                _MEMORY_MB,
                _TIMEOUT_SECONDS,
                is_traced=deployment.trace_requests,
            ),
            environment={**environment, **operating},
            statements=_operating_rights(storage, machines),
        )
        self.api = self._rest_api(deployment)
        serving: lambda_.IFunction = predict.function
        if deployment.has_canary:
            serving = self._with_canary(predict.function, deployment.metric_namespace)
        self._add_routes({"predict": serving, "operate": operate.function}, access.authorizer)
        self._add_gateway_problems(deployment.cors_origins)
        access.add_plans(self.api)
        if deployment.waf:
            access.add_firewall(self.api)

    def _rest_api(self, deployment: Deployment) -> apigateway.RestApi:
        return apigateway.RestApi(
            self,
            "Api",
            rest_api_name=f"noria-{deployment.stage}",
            description="Noria: predictions from the champion of each project",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            cloud_watch_role=True,
            api_key_source_type=apigateway.ApiKeySourceType.AUTHORIZER,
            default_cors_preflight_options=_preflight(deployment),
            deploy_options=apigateway.StageOptions(
                stage_name=API_STAGE,
                tracing_enabled=deployment.trace_requests,
                metrics_enabled=False,  # by method: up to 21 dollars a month that nothing reads
                logging_level=apigateway.MethodLoggingLevel.ERROR,
                data_trace_enabled=False,  # bodies hold personal data
                throttling_rate_limit=deployment.requests_per_second * 2,
                throttling_burst_limit=deployment.requests_per_second * 4,
                access_log_destination=apigateway.LogGroupLogDestination(
                    log_group(self, "AccessLog", deployment)
                ),
                access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_ACCESS_LOG)),
            ),
        )

    def _with_canary(self, function: lambda_.Function, namespace: str) -> lambda_.Alias:
        """Return an alias that new code, its layers included, reaches step by step.

        CodeDeploy sends it a tenth of the requests for five minutes, and all back where it
        fails. Models change without it: the alias record chooses them.
        """
        alias = lambda_.Alias(self, "Serving", alias_name=_ALIAS, version=function.current_version)
        # Of the new version alone: faults of the old one must not keep a mended one from serving.
        version, minute = function.current_version.version, Duration.minutes(1)
        metrics = {
            "CodeFails": cloudwatch.Metric(
                namespace="AWS/Lambda",
                metric_name="Errors",
                dimensions_map={
                    "FunctionName": function.function_name,
                    "Resource": f"{function.function_name}:{_ALIAS}",
                    "ExecutedVersion": version,
                },
                statistic="Sum",
                period=minute,
            ),
            "CodeFaults": cloudwatch.Metric(
                namespace=namespace,
                metric_name="CodeFaults",
                dimensions_map={"version": version},
                statistic="Sum",
                period=minute,
            ),
        }
        codedeploy.LambdaDeploymentGroup(
            self,
            "Rollout",
            alias=alias,
            role=iam.Role(self, "RolloutRole", assumed_by=service("codedeploy")),
            deployment_config=codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_5_MINUTES,
            alarms=[
                cloudwatch.Alarm(
                    self,
                    name,
                    metric=metric,
                    threshold=1,
                    evaluation_periods=1,
                    comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                    treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
                    alarm_description="Noria: new code of predict fails; CodeDeploy takes it back",
                )
                for name, metric in metrics.items()
            ],
            auto_rollback=codedeploy.AutoRollbackConfig(
                failed_deployment=True, stopped_deployment=True, deployment_in_alarm=True
            ),
        )
        return alias

    def _add_routes(
        self, functions: Mapping[str, lambda_.IFunction], authorizer: apigateway.IAuthorizer
    ) -> None:
        integrations = {
            name: apigateway.LambdaIntegration(
                function, allow_test_invoke=False, timeout=Duration.seconds(_TIMEOUT_SECONDS)
            )
            for name, function in functions.items()
        }
        for route in ROUTES:
            resource = self.api.root.resource_for_path(route.path)
            resource.add_method(
                route.method,
                integrations[route.function],
                api_key_required=True,  # the tier's, which the authorizer names
                authorizer=authorizer,
            )

    def _add_gateway_problems(self, origins: Sequence[str]) -> None:
        """Make what API Gateway answers itself a problem document too, for browsers as well."""
        # It cannot look an origin up; without an answer of the functions there is nothing to read.
        origin = f"'{origins[0]}'" if len(origins) == 1 else "method.request.header.Origin"
        cors = {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": f"'{_EXPOSED_HEADERS}'",
            "Vary": "'origin'",
        }
        for name, (status, title) in _GATEWAY_PROBLEMS.items():
            # What API Gateway says itself comes in quotes.
            told = _DETAILS.get(name)
            detail = f'"{told}"' if told else "$context.error.messageString"
            apigateway.GatewayResponse(
                self,
                f"problem-{name.lower()}",
                rest_api=self.api,
                type=apigateway.ResponseType.of(name),
                status_code=None if status is None else str(status),
                templates={
                    "application/json": (
                        f'{{"type": "urn:noria:problem:{name}", "title": "{title}", '
                        + ("" if status is None else f'"status": {status}, ')
                        + f'"detail": {detail}, '
                        '"instance": "urn:noria:request:$context.requestId"}'
                    )
                },
                response_headers={
                    "Content-Type": "'application/problem+json'",
                    "x-request-id": "context.requestId",
                    **(cors if origins else {}),
                    **({"www-authenticate": f"'{_CHALLENGE}'"} if name == _NO_KEY else {}),
                    **({"retry-after": f"'{_WAIT_SECONDS}'"} if status == 503 else {}),
                },
            )


def _answering(deployment: Deployment) -> dict[str, str]:
    """Return the settings of functions that answer requests."""
    limits = json.dumps(request_limits(deployment), separators=(",", ":"))
    origins = ",".join(deployment.cors_origins)
    return {"NORIA_LIMITS": limits, **({"NORIA_CORS_ORIGINS": origins} if origins else {})}


def _preflight(deployment: Deployment) -> apigateway.CorsOptions | None:
    """Return how a browser's question is answered, without a key; None without origins."""
    if not deployment.cors_origins:
        return None
    tokens = ["authorization"] if deployment.jwt_issuer else []
    return apigateway.CorsOptions(
        allow_origins=[*deployment.cors_origins],
        allow_methods=["GET", "POST"],
        allow_headers=["content-type", "x-api-key", *tokens],
        max_age=Duration.hours(1),
    )


def _operating_rights(
    storage: StorageStack, machines: Mapping[str, sfn.StateMachine]
) -> list[iam.PolicyStatement]:
    bucket, table = storage.bucket, [storage.aliases.table_arn]
    access = [storage.access.table_arn]
    started = [machines[name] for name in ("Training", "Monitoring")]
    executions = [
        Stack.of(machine).format_arn(
            service="states",
            resource="execution",
            resource_name=f"{machine.state_machine_name}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        for machine in started
    ]
    return [
        allow(["s3:ListBucket"], [bucket.bucket_arn]),
        allow(
            ["s3:GetObject"],
            [bucket.arn_for_objects(key) for key in ("models/*", "monitoring/*")],
        ),
        allow(
            ["s3:PutObject"],
            [
                bucket.arn_for_objects(key)
                for key in ("runs/*/source-keys.json", "monitoring/*/baseline.json", "audit/*")
            ],
        ),
        allow(["dynamodb:UpdateItem"], access, keys=COUNTER_ITEMS),
        # It could put another entry in the place of one; the copies of their hashes it could not.
        allow(["dynamodb:Query", "dynamodb:PutItem"], access, keys=AUDIT_ITEMS),
        allow(["dynamodb:GetItem", "dynamodb:PutItem"], table, keys=ALIAS_KEYS),
        allow(["dynamodb:GetItem"], table, keys=STATE_KEYS),
        allow(["states:StartExecution"], [machine.state_machine_arn for machine in started]),
        allow(["states:DescribeExecution", "states:GetExecutionHistory"], executions),
        # A task token names no resource.
        allow(["states:SendTaskSuccess", "states:SendTaskFailure"], ["*"]),
    ]


def _rights(storage: StorageStack, streams: PredictionLogStreams) -> list[iam.PolicyStatement]:
    bucket = storage.bucket
    return [
        allow(["s3:ListBucket"], [bucket.bucket_arn]),
        # Of batches also for others, by links that end: results to read, a file to write.
        allow(["s3:GetObject"], [bucket.arn_for_objects(key) for key in _READS]),
        allow(
            ["s3:PutObject"],
            [bucket.arn_for_objects(key) for key in _WRITES],
        ),
        allow(["dynamodb:GetItem", "dynamodb:Query"], [storage.aliases.table_arn]),
        allow(["dynamodb:UpdateItem"], [storage.access.table_arn], keys=COUNTER_ITEMS),
        allow(["firehose:PutRecord"], streams.arns),
        allow(["sqs:SendMessage"], [streams.fallback.queue_arn]),
    ]
