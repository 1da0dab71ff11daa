"""Files that wait for the schedule."""

from datetime import timedelta

import pytest

from noria.errors import InvalidSpecError
from noria.spec.loader import parse_spec
from noria.steps.start_batches import StartBatchesRequest, start_batches
from tests.support.fakes import MemoryArtifacts, MemoryExecutions
from tests.support.jobs import SPEC


class _Waiting:
    """A project's files, and what is started of them."""

    def __init__(self, *names):
        self.store, self.executions = MemoryArtifacts(), MemoryExecutions()
        for name in names:
            self.store.put(f"batch-scheduled/p/{name}", b"x")

    def start(self):
        done = start_batches(StartBatchesRequest("p"), store=self.store, executions=self.executions)
        return done.n_started, done.n_known

    @property
    def keys(self):
        return [message["key"] for message in self.executions.started.values()]


def test_each_waiting_file_is_started_once_however_often_the_schedule_comes():
    """Of this project alone; a folder that the console made is no file."""
    waiting = _Waiting("a.csv", "b/c.parquet", "empty/")
    waiting.store.put("batch-scheduled/q/d.csv", b"x")
    waiting.store.put("batch-inbox/p/e.csv", b"x")
    assert [waiting.start() for _ in range(3)] == [(2, 0), (0, 2), (0, 2)]
    assert waiting.keys == ["batch-scheduled/p/a.csv", "batch-scheduled/p/b/c.parquet"]
    assert {machine for machine, _ in waiting.executions.started} == {"Batch"}


def test_a_file_that_was_replaced_is_a_new_one(monkeypatch):
    """Of the same name and size, but written later."""
    waiting = _Waiting("a.csv")
    waiting.start()
    (file,) = waiting.store.under("batch-scheduled/p/")
    later = file._replace(modified_at=file.modified_at + timedelta(seconds=1))
    monkeypatch.setattr(waiting.store, "under", lambda _: iter([later]))
    assert waiting.start() == (1, 0)
    first, second = waiting.executions.started.values()
    assert first["sequencer"] != second["sequencer"]


def test_a_start_that_died_half_way_is_finished_by_the_next_one(monkeypatch):
    """What was started stays started."""
    waiting = _Waiting("a.csv", "b.csv")
    start = waiting.executions.start

    def dying(machine, name, message):
        if message["key"].endswith("b.csv"):
            raise KeyboardInterrupt
        return start(machine, name, message)

    monkeypatch.setattr(waiting.executions, "start", dying)
    with pytest.raises(KeyboardInterrupt):
        waiting.start()
    monkeypatch.undo()
    assert waiting.start() == (1, 1)


@pytest.mark.parametrize(
    ("schedule", "is_one"),
    [("rate(1 day)", True), ("rate(12 hours)", True), ("cron(0 3 * * ? *)", True),
     ("cron(0/15 8-18 ? * MON-FRI *)", True), ("daily", False), ("rate(0 days)", False),
     ("rate(1 week)", False), ("cron()", False), ("at(2026-01-01T00:00:00)", False),
     ("cron(aaaaaaaaaaa)", False), ("cron(0 3 * * ?)", False), ("rate(1 days)", False),
     ("rate(5 minute)", False), ("rate(10 minutes)", True)],
)  # fmt: skip
def test_a_schedule_is_one_that_eventbridge_takes(schedule, is_one):
    """Refused when the spec is loaded, not when it is deployed."""
    text = f'{SPEC}schedule = "{schedule}"\n'
    if is_one:
        assert parse_spec(text, source="p.toml").batch.schedule == schedule
    else:
        with pytest.raises(InvalidSpecError, match="schedule"):
            parse_spec(text, source="p.toml")
