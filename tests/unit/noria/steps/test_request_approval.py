"""The token of a rollout that waits for an approval."""

from datetime import timedelta

import pytest

from noria.errors import SettingsError, StoreUnavailableError
from noria.records.approval import PendingApproval
from noria.records.codec import from_bytes
from noria.records.state import StateRecord
from noria.steps.request_approval import RequestApprovalRequest, request_approval
from tests.support.fakes import FixedClock, MemoryState
from tests.support.rollouts import AT


class _Waiting:
    """Executions that note what they are answered."""

    def __init__(self):
        self.answers = []

    def answer(self, token, *, is_approved, by):
        self.answers.append((token, is_approved))
        return True


class _Packages:
    """The other registry, that has one status for every version."""

    def __init__(self, status, looked=lambda: None):
        self._status, self._looked = status, looked

    def status_of(self, project, model_version):
        self._looked()
        if isinstance(self._status, Exception):
            raise self._status
        return self._status


def _ask(state, version="v2", packages=None, waiting=None):
    return request_approval(
        RequestApprovalRequest("loans", "run", version, f"token of {version}", 3600),
        state=state, clock=FixedClock(AT), packages=packages, waiting=waiting or _Waiting(),
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


@pytest.mark.parametrize(("status", "is_approved"), [("Approved", True), ("Rejected", False)])
def test_a_decision_that_came_before_the_rollout_asked_counts(status, is_approved):
    """Its event found nothing that waits; the approval is written before the look."""
    state, waiting, written = MemoryState(), _Waiting(), []

    def looked():
        written.append(state.read("loans", "pending_approval").body is not None)

    found = _ask(state, packages=_Packages(status, looked), waiting=waiting)
    assert found.status == status
    assert waiting.answers == [("token of v2", is_approved)]
    assert written == [True]


@pytest.mark.parametrize(
    "status", [None, "PendingManualApproval", SettingsError("there is no such group")]
)
def test_without_a_decision_the_rollout_waits(status):
    """Also where the other registry cannot be looked at: `noria approve` still can."""
    state, waiting = MemoryState(), _Waiting()
    _ask(state, packages=_Packages(status), waiting=waiting)
    assert waiting.answers == []
    assert state.read("loans", "pending_approval").body
