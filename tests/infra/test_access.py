"""Limits and tiers: from the specs and the context into functions and plans."""

import json

import pytest

from infra import config
from infra.config import read_deployment, request_limits
from infra.names import SPECS
from noria.spec.loader import load_spec
from tests.support.templates import CONTEXTS, stacks


def _functions(context):
    template = stacks(context).json("platform")["Resources"]
    return [
        resource["Properties"]
        for resource in template.values()
        if resource["Type"] == "AWS::Lambda::Function" and "Environment" in resource["Properties"]
    ]


def test_the_limits_of_the_specs_reach_the_functions_that_answer():
    """Predict and operate; those of routes without a project come from the context."""
    found = [
        json.loads(limits)
        for function in _functions(CONTEXTS["every option"])
        if (limits := function["Environment"]["Variables"].get("NORIA_LIMITS"))
    ]
    assert len(found) == 2
    for limits in found:
        assert limits.pop("") == {"shared": 30}
        for name, section in limits.items():
            spec = load_spec(SPECS / f"{name}.toml")
            assert section == spec.limits.model_dump(exclude_none=True)
        assert {"tickets", "housing"} <= set(limits)


def test_more_limits_than_functions_hold_stop_the_synth(monkeypatch):
    """With what to do."""
    monkeypatch.setattr(config, "project_names", lambda: [f"project{n}" for n in range(100)])
    monkeypatch.setattr(config, "_section", lambda project, name: {"predict": 1000, "batch": 10})
    with pytest.raises(ValueError, match="of 100 specs are more than a function"):
        request_limits(read_deployment({}))


def test_every_tier_has_a_plan_of_its_own():
    """Its numbers are the context's; what counts for it opens nothing."""
    resources = stacks(CONTEXTS["every option"]).json("platform")["Resources"].values()
    plans = [r["Properties"] for r in resources if r["Type"] == "AWS::ApiGateway::UsagePlan"]
    keys = [r["Properties"] for r in resources if r["Type"] == "AWS::ApiGateway::ApiKey"]
    assert sorted(plan["Throttle"]["RateLimit"] for plan in plans) == [5, 50, 50]
    assert sorted(plan["Quota"]["Limit"] for plan in plans) == [10_000, 1_000_000, 1_000_000]
    values = {key["Value"] for key in keys}
    assert values == {f"noria-dev-counted-as-tier-{t}" for t in ("user", "admin", "partner")}
    (prefix,) = {
        found
        for function in _functions(CONTEXTS["every option"])
        if (found := function["Environment"]["Variables"].get("NORIA_TIER_PREFIX"))
    }
    assert all(value.startswith(prefix) for value in values)


@pytest.mark.parametrize(
    "tiers",
    [
        "x",
        "[]",
        '{"Partner": {}}',
        '{"partner": {"requests_per_second": 0, "requests_per_day": 1}}',
    ],
)
def test_a_tier_that_is_none_is_refused_with_its_key(tiers):
    """At synth."""
    with pytest.raises(ValueError, match="noria:tiers"):
        read_deployment({"noria:tiers": tiers})


def test_an_issuer_of_tokens_takes_api_gateways_memory_and_keys_alone_keep_it():
    """It can remember by one header only."""
    for context, ttl, source in (({}, 60, "method.request.header.x-api-key"),
                                 (CONTEXTS["every option"], 0, None)):  # fmt: skip
        resources = stacks(context).json("platform")["Resources"].values()
        (found,) = [
            r["Properties"] for r in resources if r["Type"] == "AWS::ApiGateway::Authorizer"
        ]
        assert found["AuthorizerResultTtlInSeconds"] == ttl
        assert (found.get("IdentitySource") or None) == source
    told = [f["Environment"]["Variables"] for f in _functions(CONTEXTS["every option"])]
    (settings,) = [found for found in told if "NORIA_JWT_ISSUER" in found]
    assert settings["NORIA_JWT_AUDIENCE"] == "noria"
    assert settings["NORIA_JWT_SCOPE_CLAIM"] == "scope"


@pytest.mark.parametrize(
    "context",
    [
        {"noria:jwt_issuer": "https://login.example.org"},
        {"noria:jwt_issuer": "http://login.example.org", "noria:jwt_audience": "a"},
    ],
)
def test_an_issuer_needs_https_and_an_audience(context):
    """A token for somebody else opens nothing."""
    with pytest.raises(ValueError, match="jwt_"):
        read_deployment(context)


def test_a_firewall_stands_before_the_api_where_one_is_asked_for():
    """It costs money every month."""
    kinds = {
        name: [r["Type"] for r in stacks(context).json("platform")["Resources"].values()]
        for name, context in (("none", {}), ("one", CONTEXTS["every option"]))
    }
    for kind in ("AWS::WAFv2::WebACL", "AWS::WAFv2::WebACLAssociation"):
        assert (kinds["none"].count(kind), kinds["one"].count(kind)) == (0, 1)
