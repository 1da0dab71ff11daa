"""The token of a rollout that waits for an approval."""

from datetime import timedelta

import pytest

from noria.errors import StoreUnavailableError
from noria.records.approval import PendingApproval
from noria.records.codec import from_bytes
from noria.records.state import StateRecord
from noria.steps.request_approval import RequestApprovalRequest, request_approval
from tests.support.fakes import FixedClock, MemoryState
from tests.support.rollouts import AT


def _ask(state, version="v2"):
    return request_approval(
        RequestApprovalRequest("loans", "run", version, f"token of {version}", 3600),
        state=state, clock=FixedClock(AT),
    )  # fmt: skip


def test_an_approval_waits_with_its_token_and_its_end():
    """What `noria approve` needs; the newest rollout's replaces an earlier one."""
    state = MemoryState()
    for version in ("v1", "v2"):
        assert _ask(state, version).expires_at == (AT + timedelta(hours=1)).isoformat()
        pending = from_bytes(PendingApproval, state.read("loans", "pending_approval").body)
        assert (pending.model_version, pending.task_token) == (version, f"token of {version}")


def test_a_rollout_that_asks_at_the_same_moment_is_not_overwritten():
    """The later one is retried by its state machine."""

    class _Between(MemoryState):
        def read(self, project, name):
            found = super().read(project, name)
            self.write(project, name, b"of another", expected_revision=found.revision)
            return found

    state = _Between()
    with pytest.raises(StoreUnavailableError):
        _ask(state)
    assert MemoryState.read(state, "loans", "pending_approval") == StateRecord(b"of another", 1)
