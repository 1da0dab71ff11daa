"""Who may call the API: an authorizer for its keys, and a plan for each tier of them."""

from collections.abc import Mapping

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from infra.config import Deployment, Tier
from infra.constructs.code import Layers
from infra.constructs.function import NoriaFunction, Runtime, allow
from infra.stacks.storage import StorageStack

KEY_ITEMS, COUNTER_ITEMS, AUDIT_ITEMS = "key", "used#*", "audit"  # of the access table, by pk
_REMEMBERED_SECONDS = 60  # how long a key that is revoked may still open the API
_MEMORY_MB, _TIMEOUT_SECONDS = 512, 10
_HEADER = "x-api-key"


class Access(Construct):
    """The authorizer function, what API Gateway asks it, and what counts for which plan."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        deployment: Deployment,
        storage: StorageStack,
        layers: Layers,
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(scope, name)
        self._deployment = deployment
        # API Gateway takes no key from a caller: the authorizer names the tier's. So its value
        # opens nothing, and need not be a secret.
        self._tier_prefix = f"noria-{deployment.stage}-counted-as-tier-"
        table = [storage.access.table_arn]
        function = NoriaFunction(
            self,
            "authorize",
            deployment=deployment,
            layers=layers,
            runtime=Runtime(("serving_runtime",), _MEMORY_MB, _TIMEOUT_SECONDS),
            environment={**environment, "NORIA_TIER_PREFIX": self._tier_prefix},
            statements=[allow(["dynamodb:GetItem", "dynamodb:UpdateItem"], table, keys=KEY_ITEMS)],
        )
        self.authorizer = apigateway.RequestAuthorizer(
            self,
            "Keys",
            handler=function.function,
            identity_sources=[apigateway.IdentitySource.header(_HEADER)],
            results_cache_ttl=Duration.seconds(_REMEMBERED_SECONDS),
        )

    def add_plans(self, api: apigateway.RestApi) -> None:
        """Give each tier its plan, once the API has its stage."""
        for name, tier in self._deployment.all_tiers.items():
            self._add_plan(name, tier, api)

    def _add_plan(self, name: str, tier: Tier, api: apigateway.RestApi) -> None:
        key = apigateway.ApiKey(
            self,
            f"{name}-tier",
            value=f"{self._tier_prefix}{name}",
            description=f"Noria {self._deployment.stage}: what keys of the tier {name} count for",
        )
        key.apply_removal_policy(RemovalPolicy.DESTROY)
        plan = apigateway.UsagePlan(
            self,
            f"{name}-plan",
            throttle=apigateway.ThrottleSettings(
                rate_limit=tier.requests_per_second, burst_limit=tier.requests_per_second * 2
            ),
            quota=apigateway.QuotaSettings(
                limit=tier.requests_per_day, period=apigateway.Period.DAY
            ),
            api_stages=[apigateway.UsagePlanPerApiStage(api=api, stage=api.deployment_stage)],
        )
        plan.add_api_key(key)
