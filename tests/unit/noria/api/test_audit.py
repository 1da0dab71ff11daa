import pytest

from noria.access.audit import Act, Auditor
from noria.api.audit import audit_page
from noria.errors import InvalidInputError
from tests.support.access import ADMIN, MemoryAuditLog
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock


@pytest.fixture
def log():
    """Twelve entries: of tickets, of housing and of no project in turn."""
    made = MemoryAuditLog()
    auditor = Auditor(made, MemoryArtifacts(), MemoryAliases(), SteppingClock(), lambda *_: None)
    for project in ("tickets", "housing", None) * 2:
        auditor.audited(Act("a", "promote", project, {}), lambda: None)
    return made


def test_pages_follow_each_other_to_the_beginning(log):
    """Each entry once."""
    numbers, query = [], {"limit": "5"}
    while True:
        page = audit_page(log, ADMIN, query)
        numbers += [entry["number"] for entry in page["entries"]]
        if page["next"] is None:
            break
        query["before"] = str(page["next"])
    assert numbers == list(range(12, 0, -1))


def test_a_key_of_one_project_sees_this_one_alone(log):
    """What belongs to no project is for keys of all."""
    shown = audit_page(log, ADMIN._replace(projects=("tickets",)), {})["entries"]
    assert {entry["project"] for entry in shown} == {"tickets"}
    assert {entry["project"] for entry in audit_page(log, ADMIN, {})["entries"]} == {
        "tickets", "housing", None,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["limit", "before"])
@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1.5", "٣", "9" * 13, "1e3"])
def test_a_number_that_is_none_is_refused(log, name, text):
    """With the field."""
    with pytest.raises(InvalidInputError) as caught:
        audit_page(log, ADMIN, {name: text})
    assert caught.value.details["errors"][0]["field"] == name
