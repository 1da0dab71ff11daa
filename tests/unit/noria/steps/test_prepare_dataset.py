import json

import pytest

from cli.samples.files import sample_files
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from tests.support.fakes import MemoryArtifacts
from tests.support.rows import ticket_csv
from tests.support.specs import quick_tickets


def _prepared(sources, **dataset):
    artifacts, spec = MemoryArtifacts(), quick_tickets()
    spec = spec.model_copy(update={"dataset": spec.dataset.model_copy(update=dataset)})
    artifacts.objects.update(sources)
    keys = tuple(sources) or ("inbox/none.csv",)
    return prepare_dataset(
        PrepareDatasetRequest("quick", "run", keys), spec=spec, artifacts=artifacts
    )


def test_several_files_are_one_dataset():
    """Partitions are read in the order given."""
    one, two = ticket_csv(100, seed=1), ticket_csv(100, seed=2)
    result = _prepared({"inbox/a.csv": one, "inbox/b.csv": two})
    assert result.accepted
    assert result.n_train + result.n_test > 150


@pytest.mark.parametrize(
    ("sources", "settings", "said"),
    [
        ({}, {}, "there is no such file"),
        ({"inbox/a.csv": b""}, {}, "empty"),
        ({"inbox/a.xlsx": b"PK"}, {}, "unknown format"),
        ({"inbox/a.csv": ticket_csv(100)}, {"max_bytes": 1000}, "dataset.max_bytes"),
        ({"inbox/a.csv": ticket_csv(100) + b"x,y\n" * 50}, {}, "were rejected"),
    ],
    ids=["absent", "empty", "xlsx", "too large", "too many rejected"],
)
def test_what_cannot_be_trained_on_is_rejected_with_the_reason(sources, settings, said):
    """An answer with a report, never a failure."""
    result = _prepared(sources, **settings)
    assert not result.accepted
    assert result.dataset_version is None
    assert any(said in reason for reason in result.reasons)
    assert result.report_key == "quarantine/quick/run/report.json"


def test_a_split_that_leaves_nothing_to_test_with_is_rejected():
    """Zero test rows are insufficient data, not a crash later on."""
    artifacts, spec = MemoryArtifacts(), quick_tickets()
    artifacts.put("inbox/a.csv", ticket_csv(60))
    spec = spec.model_copy(
        update={"split": spec.split.model_copy(update={"kind": "random", "test_fraction": 1e-9})}
    )
    request = PrepareDatasetRequest("quick", "run", ("inbox/a.csv",))
    result = prepare_dataset(request, spec=spec, artifacts=artifacts)
    assert not result.accepted
    assert "none to test with" in result.reasons[0]


def test_a_misspelt_column_is_named_once_the_files_are_read(customers):
    """Columns that files tell are checked when they are known, not never."""
    artifacts = MemoryArtifacts()
    keys = []
    for name, body in sample_files("customers", n_rows=1500):
        keys.append(f"inbox/{name}")
        artifacts.put(keys[-1], body)
    section = customers.evaluation.model_copy(update={"slices": ("segmnto",)})
    spec = customers.model_copy(update={"evaluation": section})
    request = PrepareDatasetRequest("customers", "run", tuple(keys))
    result = prepare_dataset(request, spec=spec, artifacts=artifacts)
    assert not result.accepted
    assert "evaluation.slices: 'segmnto' is no column" in result.reasons[0]


def test_records_of_a_table_that_cannot_be_used_are_in_the_report(messages):
    """A join that finds nothing because of its table must be seen."""
    artifacts = MemoryArtifacts()
    for name, body in sample_files("messages", n_rows=400):
        artifacts.put(f"inbox/{name}", body + (b'{"broken"\n' if "user" in name else b""))
    request = PrepareDatasetRequest("messages", "run", tuple(artifacts.objects))
    result = prepare_dataset(request, spec=messages, artifacts=artifacts)
    report = json.loads(artifacts.get(result.report_key))
    assert report["unusable_table_records"]["sample_user.jsonl"] == 1
