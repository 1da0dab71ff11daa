"""Tables joined to the rows of a file to score: as in training, in bounded memory, or refused."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest

from noria.spec.model import ColumnSpec, JoinSection
from noria.storage.keys import batch_key
from tests.support.jobs import Jobs, csv_file
from tests.support.trained import COLUMN, tiny_bundle

USERS = JoinSection(files="*user*", key="user", columns={"x": "fans"})
TABLE = b"user,fans\n" + b"".join(b"u%d,%d\n" % (k, k) for k in range(10))
REVIEWS = b"id,user\n" + b"".join(b"i%d,u%d\n" % (k, k % 10) for k in range(250))
WITH_Z = b"id,user,z\n" + b"".join(b"i%d,u%d,5\n" % (k, k % 10) for k in range(250))
OPTIONAL = {**COLUMN, "required": False, "optional": True}


class _Joining(Jobs):
    def __init__(self, *tables, bundle=None, joins=(USERS,), **batch):
        super().__init__(bundle, **batch)
        dataset = self.spec.dataset.model_copy(update={"joins": joins})
        self.spec = self.spec.model_copy(update={"dataset": dataset})
        for number, (name, body) in enumerate(tables):
            self.add_table(name, body, number)

    def add_table(self, name, body, number):
        key = f"inbox/p/{number}/{name}"
        self.store.put(key, body)
        return key


def _plain_answers():
    """Return the answers to the file that somebody has joined before."""
    jobs = Jobs()
    return jobs.answers(jobs.run(csv_file(250)))


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("user.csv", TABLE),
        ("x_user.csv.gz", gzip.compress(TABLE, mtime=0)),
        ("user.jsonl", b"".join(b'{"user": "u%d", "fans": %d}\n' % (k, k) for k in range(10))),
    ],
)
def test_rows_are_answered_as_the_joined_file_would_be(name, table):
    """Over all parts; the key need not be a column of the model."""
    jobs = _Joining((name, table))
    closed = jobs.run(REVIEWS)
    assert jobs.answers(closed) == _plain_answers()
    assert jobs.outcome().tables == (f"inbox/p/0/{name}",)
    assert name in _page(jobs)


def _page(jobs):
    from noria.steps.write_batch_report import WriteBatchReportRequest, write_batch_report

    request = WriteBatchReportRequest("p", "j1")
    made = write_batch_report(request, spec=jobs.spec, artifacts=jobs.store)
    return jobs.store.get(made.report_key).decode()


def test_json_lines_are_joined_too_and_bad_records_between_stay_bad():
    """Each line by its own key; one without a key, or not in the table, has a gap."""
    lines = [json.dumps({"id": f"i{k}", "user": f"u{k % 10}"}).encode() for k in range(250)]
    lines[7] = b'{"id": "i7", "user": '
    lines[9] = b'{"id": "i9", "user": "nobody"}'
    jobs = _Joining(("user.csv", TABLE))
    closed = jobs.run(b"\n".join(lines) + b"\n", "rows.jsonl")
    expected = [row for row in _plain_answers() if row["id"] not in ("i7", "i9")]
    found = {row["id"]: row["prediction"] for row in jobs.answers(closed)}
    assert found == {row["id"]: row["prediction"] for row in expected}
    assert jobs.outcome().counts.n_refused == 2


def test_quoted_records_over_several_lines_are_joined_by_their_line():
    """A line break inside a cell moves no row to another's columns."""
    body = b'id,user,note\n' + b"".join(
        b'i%d,u%d,"a\nb"\n' % (k, k % 10) if k % 3 == 0 else b"i%d,u%d,c\n" % (k, k % 10)
        for k in range(250)
    )  # fmt: skip
    jobs = _Joining(("user.csv", TABLE))
    found = {row["id"]: row["prediction"] for row in jobs.answers(jobs.run(body))}
    assert found == {row["id"]: row["prediction"] for row in _plain_answers()}


def test_a_file_that_has_some_of_a_tables_columns_is_joined_as_in_training():
    """The table's values count; what the file lacked was taken for a gap, without a word."""
    two = JoinSection(files="*user*", key="user", columns={"x": "fans", "z": "likes"})
    jobs = _Joining(bundle=tiny_bundle(columns={"x": COLUMN, "z": OPTIONAL}), joins=(two,))
    table = b"user,fans,likes\n" + b"".join(b"u%d,%d,1\n" % (k, k) for k in range(10))
    jobs.add_table("user.csv", table, 0)
    assert jobs.answers(jobs.run(WITH_Z)) == _plain_answers()
    assert jobs.outcome().tables == ("inbox/p/0/user.csv",)


def test_a_file_belongs_to_the_first_pattern_that_it_matches():
    """As in training: the newest of a general pattern must not be a special one's."""
    special = JoinSection(files="*user_extra*", key="user", columns={"z": "likes"})
    bundle = tiny_bundle(columns={"x": COLUMN, "z": OPTIONAL})
    jobs = _Joining(bundle=bundle, joins=(special, USERS))
    plain = jobs.add_table("user.csv", TABLE, 0)
    extra = jobs.add_table("user_extra.csv", b"user,likes\nu1,3\n", 1)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    jobs.store.modified = {plain: start, extra: start + timedelta(days=1)}
    assert jobs.answers(jobs.run(REVIEWS)) == _plain_answers()
    assert jobs.outcome().tables == (extra, plain)


def test_rows_without_a_match_are_counted():
    """By table, in the summary and on the page."""
    bundle = tiny_bundle(columns={"x": OPTIONAL, "z": OPTIONAL})
    jobs = _Joining(("user.csv", TABLE.replace(b"u3,3\n", b"")), bundle=bundle)
    closed = jobs.run(WITH_Z)
    assert jobs.outcome().unmatched == {"*user*": 25}
    assert "25 without a match in *user*" in closed.summary
    assert "rows without a match in *user*" in _page(jobs)


def test_a_key_may_go_by_another_name_in_the_file():
    """Aliases are replaced first, in CSV and in JSON lines."""
    join = JoinSection(files="*user*", key="cust", columns={"x": "fans"})
    jobs = _Joining(("user.csv", TABLE.replace(b"user,", b"cust,")), joins=(join,))
    user = ColumnSpec(type="category", aliases=("cust",))
    columns = {**jobs.spec.dataset.columns, "user": user}
    dataset = jobs.spec.dataset.model_copy(update={"columns": columns})
    jobs.spec = jobs.spec.model_copy(update={"dataset": dataset})
    assert jobs.answers(jobs.run(REVIEWS.replace(b"user", b"cust", 1))) == _plain_answers()
    lines = [json.dumps({"id": f"i{k}", "cust": f"u{k % 10}"}) for k in range(250)]
    body = b"\xef\xbb\xbf" + "\n".join(lines).encode()
    found = jobs.answers(jobs.run(body, "rows.jsonl", folder="j2"))
    assert [row["prediction"] for row in found] == [row["prediction"] for row in _plain_answers()]


def test_a_file_that_has_the_columns_is_not_joined():
    """Whoever has joined it knows why."""
    jobs = _Joining(("user.csv", b"user,fans\nu1,9\n"))
    body = csv_file(250).replace(b"id,X", b"id,x")
    assert jobs.answers(jobs.run(body)) == _plain_answers()
    assert jobs.outcome().tables == ()


@pytest.mark.parametrize(
    ("tables", "body", "said"),
    [
        ((), REVIEWS, "no table '*user*' is in the inbox"),
        ((("user.csv", TABLE),), b"id,who\ni1,u1\n", "the file has no column 'user'"),
        ((("user.csv", b"user,friends\nu1,2\n"),), REVIEWS, "columns ['fans'] are missing"),
    ],
    ids=["no table", "no key", "a table without the column"],
)
def test_rows_without_their_table_are_refused_with_the_reason(tables, body, said):
    """They were accepted silently, and answered as if nothing were known."""
    closed = _Joining(*tables).run(body)
    assert closed.outcome == "BatchRejected"
    assert said in closed.summary


def test_where_the_columns_are_optional_the_rows_are_answered_and_the_gap_is_told():
    """In the summary, in `outcome.json` and on the page."""
    note = {**OPTIONAL, "min": 0.0, "max": None}
    jobs = _Joining(bundle=tiny_bundle(columns={"x": OPTIONAL, "z": note}))
    closed = jobs.run(b"id,user,z\n" + b"i1,u1,3\n" * 30)
    assert closed.outcome == "BatchCompleted"
    assert "without the tables *user*" in closed.summary
    assert jobs.outcome().without_tables == ("*user*",)
    assert "their columns are gaps" in _page(jobs)


def test_a_named_table_that_nothing_joins_is_refused():
    """The newest of the inbox was taken instead, and nobody knew."""
    jobs = _Joining(("user.csv", TABLE))
    key = "batches/p/j2/tables/customers-2024.csv"
    jobs.store.put(key, TABLE)
    job = json.dumps({"filename": "rows.csv", "tables": [key]}).encode()
    jobs.store.put(batch_key("p", "j2", "job.json"), job)
    closed = jobs.run(REVIEWS, folder="j2", is_job=False)
    assert closed.outcome == "BatchRejected"
    assert "the tables ['customers-2024.csv'] are not joined" in closed.summary


def test_the_newest_table_is_joined_or_the_named_one():
    """Tables are snapshots; an older file is scored with the table of its time."""
    wrong = TABLE.replace(b"u1,1\n", b"u1,9\n")
    jobs = _Joining(("user.csv", wrong), ("user.csv", TABLE))
    old, new = "inbox/p/0/user.csv", "inbox/p/1/user.csv"
    start = datetime(2026, 1, 1, tzinfo=UTC)
    jobs.store.modified = {old: start, new: start + timedelta(days=1)}
    assert jobs.answers(jobs.run(REVIEWS)) == _plain_answers()
    job = json.dumps({"filename": "rows.csv", "tables": [old]}).encode()
    jobs.store.put(batch_key("p", "j2", "job.json"), job)
    answers = jobs.answers(jobs.run(REVIEWS, folder="j2", is_job=False))
    assert [row["prediction"] for row in answers if row["id"] == "i1"] == ["19"]
    assert jobs.outcome("j2").tables == (old,)
    job = json.dumps({"filename": "rows.csv", "tables": ["inbox/p/9/user.csv"]}).encode()
    jobs.store.put(batch_key("p", "j3", "job.json"), job)
    assert "there is no such table" in jobs.run(REVIEWS, folder="j3", is_job=False).summary
