"""The token of a rollout that waits for an approval."""

from datetime import timedelta

from noria.steps.request_approval import RequestApprovalRequest, request_approval
from tests.support.fakes import FixedClock
from tests.support.rollouts import AT


def test_an_approval_waits_with_its_token_and_its_end(p):
    """What `noria approve` needs."""
    found = request_approval(
        RequestApprovalRequest("loans", "run", "v2", "token", 3600),
        artifacts=p.store, clock=FixedClock(AT),
    )  # fmt: skip
    assert found.expires_at == (AT + timedelta(hours=1)).isoformat()
    assert b"token" in p.store.get("monitoring/loans/approval.json")
