"""Who may call the API: an authorizer for its keys, and a plan for each tier of them."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from infra.config import Deployment, Tier
from infra.constructs.code import Layers
from infra.constructs.function import NoriaFunction, Runtime, allow
from infra.stacks.storage import StorageStack

KEY_ITEMS, COUNTER_ITEMS, AUDIT_ITEMS = "key", "used#*", "audit"  # of the access table, by pk
_REMEMBERED_SECONDS = 60  # how long a key that is revoked may still open the API
_MEMORY_MB, _TIMEOUT_SECONDS = 512, 10
_HEADER = "x-api-key"
_REQUESTS_OF_AN_ADDRESS = 10_000  # in five minutes


def _share(reserved: int | None) -> int | None:
    """Return how many executions the authorizer has for itself where predict has some.

    It runs once a key and minute; with an issuer of tokens at each request, for a short time.
    """
    return None if reserved is None else max(2, reserved // 8)


def _visible(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )


def _managed(priority: int, name: str) -> wafv2.CfnWebACL.RuleProperty:
    return wafv2.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        override_action=wafv2.CfnWebACL.OverrideActionProperty(none={}),
        statement=wafv2.CfnWebACL.StatementProperty(
            managed_rule_group_statement=wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(
                name=name, vendor_name="AWS"
            )
        ),
        visibility_config=_visible(name),
    )


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
            runtime=Runtime(
                ("serving_runtime",),
                _MEMORY_MB,
                _TIMEOUT_SECONDS,
                reserved=_share(deployment.predict_concurrency),
                is_traced=deployment.trace_requests,
            ),
            environment={**environment, **self._settings()},
            statements=[
                allow(["dynamodb:GetItem"], table, keys=KEY_ITEMS),
                allow(
                    ["dynamodb:UpdateItem"],
                    table,
                    keys=KEY_ITEMS,
                    attributes=("pk", "sk", "last_used_on"),
                ),
            ],
        )
        self.authorizer = apigateway.RequestAuthorizer(
            self,
            "Keys",
            handler=function.function,
            # A key or a token: API Gateway remembers nothing where it cannot name the one header.
            identity_sources=[]
            if deployment.jwt_issuer
            else [apigateway.IdentitySource.header(_HEADER)],
            results_cache_ttl=Duration.seconds(0 if deployment.jwt_issuer else _REMEMBERED_SECONDS),
        )

    def _settings(self) -> dict[str, str]:
        settings = {"NORIA_TIER_PREFIX": self._tier_prefix}
        if self._deployment.jwt_issuer:
            settings |= {
                "NORIA_JWT_ISSUER": self._deployment.jwt_issuer,
                "NORIA_JWT_AUDIENCE": str(self._deployment.jwt_audience),
                "NORIA_JWT_SCOPE_CLAIM": self._deployment.jwt_scope_claim,
            }
        return settings

    def add_firewall(self, api: apigateway.RestApi) -> None:
        """Put AWS WAF before the API: what AWS knows to be bad, and floods of one address."""
        rules = [
            _managed(number, name)
            for number, name in enumerate(
                ("AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesKnownBadInputsRuleSet")
            )
        ]
        rate = wafv2.CfnWebACL.RuleProperty(
            name="Floods",
            priority=len(rules),
            action=wafv2.CfnWebACL.RuleActionProperty(block={}),
            statement=wafv2.CfnWebACL.StatementProperty(
                rate_based_statement=wafv2.CfnWebACL.RateBasedStatementProperty(
                    aggregate_key_type="IP", limit=_REQUESTS_OF_AN_ADDRESS
                )
            ),
            visibility_config=_visible("Floods"),
        )
        acl = wafv2.CfnWebACL(
            self,
            "Firewall",
            scope="REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            rules=[*rules, rate],
            visibility_config=_visible("Firewall"),
        )
        wafv2.CfnWebACLAssociation(
            self,
            "FirewallOfApi",
            resource_arn=api.deployment_stage.stage_arn,
            web_acl_arn=acl.attr_arn,
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
