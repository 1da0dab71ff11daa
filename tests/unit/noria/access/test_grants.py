import pytest

from noria.access.grants import allows, from_context, to_context
from noria.access.policy import policy
from noria.records.access import Grant
from tests.support.access import ADMIN, USER

ARN = "arn:aws:execute-api:us-east-1:1:abc/v1/POST/projects/tickets/predict"
STAGE = "arn:aws:execute-api:us-east-1:1:abc/v1"
GRANTS = [
    USER,
    ADMIN,
    Grant("k", "one operation", ("predict",), ("tickets",), False),
    Grant("k", "two", ("user", "history"), ("housing", "tickets")),
]


@pytest.mark.parametrize(
    ("scopes", "user_route", "admin_route", "predict"),
    [
        (("user",), True, False, True),
        (("admin",), True, True, True),
        (("predict",), False, False, True),
        (("history",), False, False, False),
        ((), False, False, False),
    ],
)
def test_a_scope_opens_its_routes_and_an_operation_itself(scopes, user_route, admin_route, predict):
    """An admin key may call all."""
    grant = USER._replace(scopes=scopes)
    assert allows(grant, "model", "user") == user_route
    assert allows(grant, "promote", "admin") == admin_route
    assert allows(grant, "predict", "user") == predict


@pytest.mark.parametrize("grant", GRANTS)
def test_a_grant_survives_the_way_through_api_gateway(grant):
    """As texts alone."""
    context = {"principalId": grant.key_id, **to_context(grant)}
    assert all(isinstance(text, str) for text in context.values())
    assert from_context(context) == grant


@pytest.mark.parametrize("missing", ["principalId", "name", "scopes", "projects"])
@pytest.mark.parametrize("value", [None, "", 7, [], "absent"])
def test_a_context_that_is_not_whole_grants_nothing(missing, value):
    """A missing list is not "all"."""
    context = {"principalId": "k", **to_context(USER), missing: value}
    if value == "absent":
        del context[missing]
    assert from_context(context) is None


def test_a_context_that_says_nothing_of_limits_is_limited():
    """Fail closed."""
    context = {"principalId": "k", **to_context(USER._replace(is_limited=False))}
    assert not from_context(context).is_limited
    del context["limited"]
    assert from_context(context).is_limited


def test_the_policy_covers_all_that_a_key_may_reach():
    """Whatever route was asked: API Gateway remembers it for the next ones."""
    (everything,) = policy(USER, ARN, ["/health"])["Statement"]
    assert everything["Resource"] == [f"{STAGE}/*"]
    (some,) = policy(GRANTS[3], ARN, ["/health"])["Statement"]
    assert some["Resource"] == [
        f"{STAGE}/*/projects/housing/*",
        f"{STAGE}/*/projects/tickets/*",
        f"{STAGE}/*/health",
    ]
    assert (some["Effect"], some["Action"]) == ("Allow", "execute-api:Invoke")
