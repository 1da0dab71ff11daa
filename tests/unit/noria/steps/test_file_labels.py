"""Files of labels."""

import json
from datetime import timedelta

import pytest

from noria.data.labels import ID_COLUMN
from noria.data.versions import decode_rows
from noria.records.codec import from_bytes
from noria.records.labels import LabelsReport
from noria.steps import file_labels as step
from noria.steps.file_labels import FileLabelsRequest, file_labels
from noria.storage.hours import hour_name
from noria.storage.ids import hashed_record_id, new_prediction_id
from noria.storage.keys import labels_prefix
from tests.support.fakes import FixedClock, MemoryAliases
from tests.support.jobs import parquet_file
from tests.support.production import START, Production
from tests.support.trained import tiny_bundle

ANSWER = new_prediction_id(START)


class _Files:
    """A project, and what becomes of its files of labels."""

    def __init__(self, **bundle):
        self.p = Production(
            batch={"id_columns": ("customer", "contract")}, target={"aliases": ("paid",)}
        )
        if bundle:
            self.p.add_version("v2", tiny_bundle(**bundle))
            self.p.promote("v2", at=START)
        self.clock = FixedClock(START)

    def put(self, name, body, at=START):
        key = f"labels-inbox/loans/u1/{name}"
        self.p.store.put(key, body)
        self.p.store.modified[key] = at
        return self.read(key)

    def read(self, key):
        done = file_labels(
            FileLabelsRequest("loans", key),
            spec=self.p.spec, artifacts=self.p.store, aliases=self.p.aliases, clock=self.clock,
        )  # fmt: skip
        self.report = from_bytes(LabelsReport, self.p.store.get(done.report_key))
        return done

    @property
    def filed(self):
        found = sorted(k for k in self.p.store.objects if k.startswith("labels/"))
        assert all(k.startswith(labels_prefix("loans", hour_name(START))) for k in found)
        return [label for k in found for label in json.loads(self.p.store.get(k))["labels"]]

    @property
    def refused(self):
        return decode_rows(self.p.store.get(self.report.refused_key))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("l.csv", b"customer,y\nc1,1.5\nc2,2\n"),
        ("l.csv", b"record_id,label\nc1,1.5\nc2,2\n"),
        ("l.csv", b"contract,paid,other\nc1,1.5,x\nc2,2,x\n"),
        ("l.jsonl", b'{"customer": "c1", "y": 1.5}\n{"record_id": "c2", "label": "2"}\n'),
        ("l.parquet", parquet_file([{"customer": "c1", "y": 1.5}, {"customer": "c2", "y": 2.0}])),
    ],
)
def test_labels_come_in_files_of_any_kind_under_the_names_people_have(name, body):
    """By record id or id column; the label or the target, under an alias too."""
    files = _Files()
    done = files.put(name, body)
    assert (done.outcome, done.n_labels, done.n_refused) == ("LabelsFiled", 2, 0)
    filed = [{k: v for k, v in label.items() if k != ID_COLUMN} for label in files.filed]
    assert filed == [{"record_id": "c1", "label": 1.5}, {"record_id": "c2", "label": 2.0}]
    assert files.report.summary == "2 labels filed, 0 rows refused"


def test_a_row_may_name_the_answer_itself():
    """Before any record id."""
    files = _Files()
    files.put("l.csv", f"prediction_id,customer,label\n{ANSWER},c1,1\n,c2,2\n".encode())
    assert files.filed == [
        {"prediction_id": ANSWER, "label": 1.0},
        {"record_id": "c2", "label": 2.0, ID_COLUMN: "customer"},
    ]


def test_a_label_keeps_the_column_that_its_id_stands_in():
    """A contract may have the number of another row's customer."""
    files = _Files()
    files.put("l.csv", b"contract,label\n7,1\n")
    files.put("l.csv", b"record_id,label\n7,1\n")
    assert sorted(label.get(ID_COLUMN, "") for label in files.filed) == ["", "contract"]


def test_labels_are_as_old_as_their_file_however_late_it_is_read():
    """A doubled event must not outrank labels that came meanwhile."""
    files = _Files()
    files.put("l.csv", b"customer,label\nc1,1\n")
    files.clock.at = START + timedelta(days=2)
    before = dict(files.p.store.objects)
    files.read("labels-inbox/loans/u1/l.csv")
    after = files.p.store.objects
    assert {k for k in after if k.startswith("labels/")} <= set(before)
    (key,) = (k for k in after if k.startswith("labels/"))
    assert json.loads(after[key])["at"] == START.isoformat()


def test_a_file_whose_labels_are_all_to_come_is_no_fault():
    """Nobody is told of it; nor of a folder that the console made."""
    assert _Files().put("", b"").outcome == "LabelsFiled"
    done = _Files().put("l.csv", b"customer,label\nc1,\nc2,\n")
    assert (done.outcome, done.n_labels) == ("LabelsFiled", 0)
    assert "2 without a label yet" in done.summary


def test_rows_that_cannot_be_filed_are_kept_with_their_reasons():
    """And the good ones are filed all the same; those without a label yet are no fault."""
    files = _Files()
    body = b"customer,label\nc1,1\nc2,much\n,3\nc4,\nc5,5,6\n" + b"x" * 200 + b",7\n"
    done = files.put("l.csv", body)
    assert (done.outcome, done.n_labels, done.n_refused) == ("LabelsRefused", 1, 4)
    assert files.report.n_unlabelled == 1
    assert [(row["line"], row["errors"][0]["reason"].split(" ")[0]) for row in files.refused] == [
        (6, "3"), (3, "label"), (4, "needs"), (7, "record_id"),
    ]  # fmt: skip
    assert sum(files.report.reasons.values()) == 4
    assert "1 without a label yet" in done.summary
    assert "much" not in done.summary


def test_the_same_file_again_files_the_same_labels():
    """Doubled events and retries change nothing."""
    files = _Files()
    body = b"customer,label\nc1,1\nc2,2\n"
    files.put("l.csv", body)
    before = dict(files.p.store.objects)
    files.put("l.csv", body)
    assert files.p.store.objects == before


def test_many_labels_are_filed_in_several_objects(monkeypatch):
    """One object of a million would be read whole at each check."""
    monkeypatch.setattr(step, "_FILED_AT_ONCE", 4)
    files = _Files()
    files.put("l.csv", b"customer,label\n" + b"".join(b"c%d,1\n" % n for n in range(10)))
    keys = [key for key in files.p.store.objects if key.startswith("labels/")]
    assert (len(keys), len(files.filed)) == (3, 10)


def test_personal_record_ids_are_filed_as_hashes():
    """As the log holds them."""
    files = _Files(private=["record_id"])
    files.put("l.csv", b"customer,label\nc1,1\n")
    hashed = hashed_record_id("loans", "c1")
    assert files.filed == [{"record_id": hashed, "label": 1.0, ID_COLUMN: "customer"}]


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        (
            "l.csv",
            b"customer,amount\nc1,1\n",
            "no column for the label; it may be called: label, y",
        ),
        ("l.csv", b"name,label\nc1,1\n", "no column for what it is the label of; it may be called"),
        ("l.xlsx", b"x", "unknown format"),
        ("l.csv", b"", "l.csv"),
        ("l.csv", b"customer,label\nc1,much\n", "0 labels filed, 1 rows refused"),
        ("l.parquet", b"PAR1 no", "not a readable Parquet file"),
    ],
)
def test_a_file_without_one_label_is_rejected_with_the_reason(name, body, said):
    """Nothing is filed."""
    files = _Files()
    done = files.put(name, body)
    assert done.outcome == "LabelsRejected"
    assert said in done.summary
    assert not files.filed


def test_a_file_that_is_not_there_and_a_project_without_a_champion_are_told():
    """No trace, no half."""
    files = _Files()
    assert "no such file" in files.read("labels-inbox/loans/none.csv").summary
    files.p.aliases = MemoryAliases()
    done = files.put("l.csv", b"customer,label\nc1,1\n")
    assert (done.outcome, done.n_labels) == ("LabelsRejected", 0)
    assert "no champion" in done.summary
