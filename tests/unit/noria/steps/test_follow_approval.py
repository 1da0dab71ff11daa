import pytest

from noria.records.approval import PendingApproval
from noria.records.codec import to_bytes
from noria.steps.follow_approval import FollowApprovalRequest, follow_approval
from tests.support.fakes import MemoryState, MemoryWaiting


class Packages:
    """A registry with one package of ours."""

    def mirror(self, *_):
        """Take anything."""

    def model_version_of(self, package):
        """Know one."""
        return {"ours": ("p", "v1")}[package]


def _follow(package="ours", status="Approved", version="v1", *, is_there=True, packages=None):
    state, waiting = MemoryState(), MemoryWaiting(is_there=is_there)
    if version:
        pending = PendingApproval(version, "run", "t", "2026-03-01T00:00:00+00:00")
        state.write("p", "pending_approval", to_bytes(pending), expected_revision=0)
    result = follow_approval(
        FollowApprovalRequest(package, status),
        state=state,
        packages=packages or Packages(),
        waiting=waiting,
    )
    return result.outcome, waiting.answers


@pytest.mark.parametrize(("status", "is_approved"), [("Approved", True), ("Rejected", False)])
def test_the_answer_goes_to_the_version_that_waits(status, is_approved):
    """Approved goes on, rejected is taken back."""
    outcome, answers = _follow(status=status)
    assert outcome == "answered"
    assert answers == [("t", is_approved, "SageMaker's registry")]


@pytest.mark.parametrize("version", [None, "v2"])
def test_no_other_version_is_answered(version):
    """A status that nothing waits for changes nothing."""
    assert _follow(version=version) == ("nothing_waits", [])


def test_an_answer_that_comes_too_late_changes_nothing():
    """The rollout has expired, or was answered."""
    assert _follow(is_there=False)[0] == "nothing_waits"


def test_packages_of_others_are_left_alone():
    """Whatever their status."""
    assert _follow("theirs") == ("not_ours", [])
