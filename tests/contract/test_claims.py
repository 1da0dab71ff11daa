"""The promises of `Claims`: the same tests on the fake and on DynamoDB."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from noria_aws.aws.claims import DynamoDbClaims
from tests.support.fakes import MemoryClaims

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(params=["memory", "dynamodb"])
def claims(request):
    """Each implementation."""
    if request.param == "memory":
        return MemoryClaims()
    target = request.getfixturevalue("target")
    return DynamoDbClaims(target.client("dynamodb"), target.outputs["AliasTable"])


def test_a_key_is_won_held_and_done(claims, project):
    """Its owner may take it again; another one waits."""
    assert claims.claim(project, "k", "a", AT, 60) == "won"
    assert claims.claim(project, "k", "a", AT, 60) == "won"
    assert claims.claim(project, "k", "b", AT, 60) == "held"
    claims.finish(project, "k", "a")
    assert claims.claim(project, "k", "b", AT + timedelta(days=1), 60) == "done"


def test_a_dead_owners_claim_is_free_after_its_lease(claims, project):
    """And what it finishes later does not count."""
    claims.claim(project, "k", "dead", AT, 60)
    later = AT + timedelta(seconds=61)
    assert claims.claim(project, "k", "b", later, 60) == "won"
    claims.finish(project, "k", "dead")
    assert claims.claim(project, "k", "c", later, 60) == "held"


def test_a_released_key_is_as_if_it_had_never_been(claims, project):
    """Whether there was one is the answer."""
    assert not claims.release(project, "k")
    claims.claim(project, "k", "a", AT, 60)
    claims.finish(project, "k", "a")
    assert claims.release(project, "k")
    assert claims.claim(project, "k", "b", AT, 60) == "won"


def test_units_are_counted_once(claims, project):
    """The same alert again is not one more."""
    assert [claims.count(project, "hour", unit, AT) for unit in ("a", "b", "a")] == [1, 2, 2]


def test_of_many_claimers_at_once_one_wins(claims, project):
    """Ten rounds of eight."""
    for number in range(10):
        found, start = [], threading.Barrier(8)

        def claim(owner, number=number, found=found, start=start):
            start.wait()
            found.append(claims.claim(project, f"k{number}", owner, AT, 60))

        threads = [threading.Thread(target=claim, args=(f"o{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == ["held"] * 7 + ["won"]
