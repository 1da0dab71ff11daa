"""The promises of `ProjectState`: the same tests on the fake and on DynamoDB."""

import threading

import pytest

from noria.records.state import StateRecord
from noria_aws.aws.state import DynamoDbState
from tests.support.fakes import MemoryState

N_WRITERS, N_WRITES = 4, 5


@pytest.fixture(params=["memory", "dynamodb"])
def state(request):
    """Each implementation."""
    if request.param == "memory":
        return MemoryState()
    target = request.getfixturevalue("target")
    return DynamoDbState(target.client("dynamodb"), target.outputs["AliasTable"])


def test_a_record_that_was_never_written_has_no_body(state, project):
    """Its first write expects revision 0."""
    assert state.read(project, "r") == StateRecord(None, 0)
    assert state.write(project, "r", b"{}", expected_revision=0)
    assert state.read(project, "r") == StateRecord(b"{}", 1)


def test_a_write_at_another_revision_changes_nothing(state, project):
    """Neither one that thinks it is first, nor one that read an older state."""
    assert state.write(project, "r", b"1", expected_revision=0)
    assert state.write(project, "r", b"2", expected_revision=1)
    for expected_revision in (0, 1, 3):
        assert not state.write(project, "r", b"lost", expected_revision=expected_revision)
    assert state.read(project, "r") == StateRecord(b"2", 2)


def test_records_and_projects_are_apart(state, project):
    """By name and by project."""
    state.write(project, "r", b"a", expected_revision=0)
    assert state.read(project, "other") == state.read(f"{project}_2", "r") == StateRecord(None, 0)


def test_no_count_is_lost_between_writers(state, project):
    """Whoever is refused reads again; the refusals are counted, so that the test can fail."""
    ready, refused = threading.Barrier(N_WRITERS), []

    def add():
        for _ in range(N_WRITES):
            found = state.read(project, "n")
            if not found.revision:
                ready.wait()  # all have read before the first one writes
            while not state.write(
                project, "n", b"%d" % (int(found.body or 0) + 1), expected_revision=found.revision
            ):
                refused.append(found.revision)
                found = state.read(project, "n")

    threads = [threading.Thread(target=add) for _ in range(N_WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert int(state.read(project, "n").body) == N_WRITERS * N_WRITES
    assert refused.count(0) == N_WRITERS - 1
