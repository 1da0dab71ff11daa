"""Every route with every kind of key, through what API Gateway does with the authorizer's answer.

`tests/integration/test_access.py` asks the same over HTTP; here broken variants show that it can
fail. API Gateway is modelled: it remembers an answer by the key's value, and asks the policy for
each route, with stars that match slashes.
"""

import re
from datetime import UTC, datetime

import pytest

from noria.access.keys import Wanted, issue
from noria.api.routes import ROUTES
from noria_aws.handlers import http_api
from noria_aws.handlers.http_api import http_handler
from noria_aws.serving import authorizer as authorizers
from noria_aws.serving.authorizer import Authorizer, UnauthorizedError
from tests.support.access import MemoryAccessKeys, request_limits
from tests.support.fakes import FixedClock

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAGE = "arn:aws:execute-api:us-east-1:1:abc/v1"
OPERATIONS = [route.operation for route in ROUTES]
KINDS = {
    "user": ({"scopes": ("user",)}, lambda route: route.scope == "user"),
    "admin": ({"scopes": ("admin",)}, lambda route: True),
    "admin of another project": (
        {"scopes": ("admin",), "projects": ("housing",)},
        lambda route: "project" not in route.parameters,
    ),
    "user of this project": (
        {"scopes": ("user",), "projects": ("tickets",)},
        lambda route: route.scope == "user",
    ),
    **{
        f"only {name}": ({"scopes": (name,)}, lambda route, name=name: route.operation == name)
        for name in OPERATIONS
    },
}


class _Gateway:
    """What API Gateway does between a request and its function."""

    def __init__(self, *keys):
        self._authorizer = Authorizer(MemoryAccessKeys(*keys), FixedClock(AT), "tier-")
        self._remembered = {}
        operations = {name: lambda call: {} for name in OPERATIONS}
        self._handler = http_handler(lambda: operations, request_limits)

    def status(self, route, value):
        path = route.path.replace("{project}", "tickets")
        path = re.sub(r"\{\w+\}", "model", path)
        arn = f"{STAGE}/{route.method}{path}"
        event = {"methodArn": arn, "headers": {"x-api-key": value}}
        if value not in self._remembered:
            try:
                self._remembered[value] = self._authorizer.answer(event)
            except UnauthorizedError:
                return 401
        answer = self._remembered[value]
        (statement,) = answer["policyDocument"]["Statement"]
        patterns = [re.escape(one).replace(r"\*", ".*") for one in statement["Resource"]]
        if not any(re.fullmatch(pattern, arn) for pattern in patterns):
            return 403
        context = {"authorizer": {"principalId": answer["principalId"], **answer["context"]}}
        event = {"httpMethod": route.method, "resource": route.path, "requestContext": context,
                 "pathParameters": {"project": "tickets"}}  # fmt: skip
        return self._handler(event, None)["statusCode"]


def _wrong():
    """Return how many routes are asked, and which let in whom they should not, or keep out."""
    n_asked, wrong = 0, []
    for kind, (wanted, is_let_in) in KINDS.items():
        for order in (ROUTES, ROUTES[::-1]):
            new = issue(Wanted("a test", **wanted), AT, OPERATIONS)
            gateway = _Gateway(new.key)
            for route in (*order, *order):  # cold at first, then warm
                expected = 200 if is_let_in(route) else 403
                n_asked += 1
                if gateway.status(route, new.value) != expected:
                    wrong.append((kind, route.operation))
    return n_asked, wrong


def test_only_what_is_meant_gets_in():
    """Cold and warm, in both orders."""
    assert _wrong() == (4 * len(ROUTES) * len(KINDS), [])


def _one_route(grant, arn, shared):
    """Return the policy that examples show: for the route that was asked."""
    allow = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": [arn]}
    return {"Statement": [allow]}


def _everything(grant, arn, shared):
    return _one_route(grant, f"{STAGE}/*", shared)


BROKEN = {
    "a policy for the one route that was asked": (authorizers, "policy", _one_route),
    "no scope is checked": (http_api, "allows", lambda grant, operation, scope: True),
    "an admin key has its own scope alone": (
        http_api, "allows", lambda grant, operation, scope: scope in grant.scopes,
    ),
    "operations alone": (
        http_api, "allows", lambda grant, operation, scope: operation in grant.scopes,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_the_matrix_finds_each_broken_variant(monkeypatch, name):
    """Its control."""
    module, function, broken = BROKEN[name]
    monkeypatch.setattr(module, function, broken)
    assert _wrong()[1]


def test_projects_are_kept_apart_twice(monkeypatch):
    """A policy that opens all of them lets nobody into another one; nor do functions alone."""
    monkeypatch.setattr(authorizers, "policy", _everything)
    assert _wrong()[1] == []
    monkeypatch.setattr(http_api.Grant, "covers", lambda self, project: True)
    assert {kind for kind, _ in _wrong()[1]} == {"admin of another project"}


def test_a_star_of_the_policy_matches_slashes_and_opens_no_route_of_admins():
    """`…/*/model` is also `…/trainings/model`: so functions check each route's scope."""
    new = issue(Wanted("a test", ("model",)), AT, OPERATIONS)
    training = next(route for route in ROUTES if route.operation == "training")
    assert _Gateway(new.key).status(training, new.value) == 403
