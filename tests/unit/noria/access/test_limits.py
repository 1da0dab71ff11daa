from datetime import UTC, datetime

import pytest

from noria.access.limits import Asked, RequestLimits
from noria.api.routes import ROUTES
from noria.errors import InvalidInputError, TooManyRequestsError
from noria.spec.operations import LimitsSection
from tests.support.access import USER, MemoryRequestCounts
from tests.support.fakes import FixedClock

AT = datetime(2026, 3, 1, 12, 0, 15, tzinfo=UTC)
PREDICT = Asked("tickets", "predict", "predict")
BATCH = Asked("tickets", "predict_batch", "batch", 40)


def _limits(counts, at=AT, **limits):
    return RequestLimits({"tickets": limits}, counts, FixedClock(at))


def _let_through(limits, asked=PREDICT, grant=USER, n=10):
    """Return how many of n requests are let through."""
    through = 0
    for _ in range(n):
        try:
            limits.require(grant, asked)
        except TooManyRequestsError:
            continue
        through += 1
    return through


def test_as_many_as_the_limit_are_let_through_a_minute():
    """The next minute counts anew; a refused request counts nothing."""
    counts = MemoryRequestCounts()
    assert _let_through(_limits(counts, predict=3)) == 3
    assert list(counts.used.values()) == [3]
    assert _let_through(_limits(counts, AT.replace(minute=1), predict=3)) == 3


def test_whoever_is_refused_is_told_when_to_come_again():
    """When the minute is over."""
    limits = _limits(MemoryRequestCounts(), predict=1)
    limits.require(USER, PREDICT)
    with pytest.raises(TooManyRequestsError, match="at most 1 requests a minute") as caught:
        limits.require(USER, PREDICT)
    assert caught.value.details["retry_after"] == 45


def test_keys_projects_and_operations_count_apart():
    """Each of them has the whole limit."""
    limits = RequestLimits(
        {"tickets": {"predict": 2}, "housing": {"predict": 2}},
        MemoryRequestCounts(),
        FixedClock(AT),
    )
    for grant in (USER, USER._replace(key_id="other")):
        for asked in (
            PREDICT,
            PREDICT._replace(project="housing"),
            PREDICT._replace(operation="model"),
        ):
            assert _let_through(limits, asked, grant) == 2


def test_what_has_no_limit_is_not_counted():
    """It costs no write; neither does a key that is not limited."""
    counts = MemoryRequestCounts()
    assert _let_through(_limits(counts, batch=1)) == 10
    assert _let_through(RequestLimits({}, counts, FixedClock(AT))) == 10
    free = USER._replace(is_limited=False)
    assert _let_through(_limits(counts, predict=1), grant=free) == 10
    assert counts.used == {}


HOLDS = {
    "predict": {"predict", "model", "feedback", "drift", "metrics", "features", "performance",
                "job", "cancel_job"},
    "batch": {"predict_batch", "create_job"},
    "rows": {"predict_batch"},
    "admin": {"baseline", "start_check", "check", "start_training", "training", "answer_approval",
              "history"},
    "promote": {"promote", "roll_back"},
    "shared": {"health", "document", "audit"},
}  # fmt: skip


@pytest.mark.parametrize("name", HOLDS)
def test_each_limit_holds_its_routes_and_no_others(name):
    """A second request in the minute is refused there; "shared" stands for the deployment's own."""
    project = "" if name == "shared" else "tickets"
    held = set()
    for route in ROUTES:
        limits = RequestLimits({project: {name: 1}}, MemoryRequestCounts(), FixedClock(AT))
        asked = Asked("tickets" if "{project}" in route.path else "", route.operation, route.limit)
        if _let_through(limits, asked, n=2) == 1:
            held.add(route.operation)
    assert held == HOLDS[name]
    assert set(HOLDS) - {"shared"} == set(LimitsSection.model_fields)


def test_rows_are_counted_in_place_of_batches_where_the_spec_says_so():
    """A batch that has more than a whole minute's is refused too."""
    counts = MemoryRequestCounts()
    assert _let_through(_limits(counts, batch=1, rows=100), BATCH) == 2
    assert list(counts.used.values()) == [80]
    with pytest.raises(InvalidInputError, match="at most 100 rows") as caught:
        _limits(counts, rows=100).require(USER, BATCH._replace(n_rows=101))
    assert "retry_after" not in caught.value.details  # it would never come through
    assert _let_through(_limits(counts, rows=100), BATCH._replace(n_rows=0), n=30) == 20
    assert _let_through(_limits(counts, predict=1, rows=100), PREDICT) == 1
