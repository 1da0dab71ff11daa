"""Schedules in EventBridge's own language."""

import json
import re

import pytest

from infra import config
from infra.constructs import inbox
from infra.constructs.monitoring import _every
from tests.support.templates import stacks


@pytest.mark.parametrize("hours", range(1, 169))
def test_every_allowed_number_of_hours_is_a_valid_schedule(hours):
    """An increment of a cron field must fit into it: 0/24 does not."""
    text = _every(hours)
    if rate := re.fullmatch(r"rate\((\d+) hours\)", text):
        assert int(rate[1]) == hours > 1
        return
    found = re.fullmatch(r"cron\(5 (\*|\d+(?:,\d+)*) \* \* \? \*\)", text)
    times = [*range(24)] if found[1] == "*" else [int(time) for time in found[1].split(",")]
    assert times == [*range(0, 24, hours)]
    assert 24 % hours == 0


def test_a_project_with_a_schedule_of_batches_has_it_and_others_have_none(monkeypatch):
    """The function may start the batch machine, and failures to call it are kept."""
    monkeypatch.setattr(inbox, "batch_schedules", lambda: {"customers": "cron(0 3 * * ? *)"})
    made = stacks({"noria:check_days": "89"}).json("platform")["Resources"].values()
    found = [r["Properties"] for r in made if r["Type"] == "AWS::Scheduler::Schedule"]
    (batch,) = [s for s in found if "files" in s["Description"]]
    assert (batch["ScheduleExpression"], batch["State"]) == ("cron(0 3 * * ? *)", "ENABLED")
    assert json.loads(batch["Target"]["Input"]) == {"project": "customers"}
    assert "DeadLetterConfig" in batch["Target"]
    monkeypatch.undo()
    plain = stacks({}).json("platform")["Resources"].values()
    assert not [r for r in plain if "files" in str(r.get("Properties", {}).get("Description"))
                and r["Type"] == "AWS::Scheduler::Schedule"]  # fmt: skip


def test_the_schedules_of_batches_are_those_of_the_specs(monkeypatch):
    """As they are written; a spec without one has none."""
    sections = {"customers": {"schedule": "rate(1 day)"}}
    monkeypatch.setattr(config, "_section", lambda project, _: sections.get(project, {}))
    assert config.batch_schedules() == {"customers": "rate(1 day)"}
