import pytest

from noria.data.joins import Tables
from noria.data.parsing import RawRecord
from noria.errors import DatasetSchemaError
from noria.spec.model import JoinSection

USERS = JoinSection(files="*user*", key="user_id", columns={"fans": "fans", "n_user": "n"})


def _records(*rows, fault=None):
    return [RawRecord(i + 1, dict(row), fault) for i, row in enumerate(rows)]


def _joined(rows, users):
    with Tables([USERS]) as tables:
        if users is not None:
            tables.add("x_user.jsonl.gz", _records(*users))
        return [record.cells for record in tables.joined(_records(*rows))]


def test_rows_get_the_tables_columns_under_their_own_names():
    """A left join: a key without a match, and no key, leave gaps."""
    rows = [{"user_id": "a", "n": 1}, {"user_id": "zz"}, {"n": 3}]
    users = [{"user_id": "a", "fans": 7, "n": 99}, {"user_id": "b", "fans": 1, "n": 2}]
    assert _joined(rows, users) == [
        {"user_id": "a", "n": 1, "fans": 7, "n_user": 99},
        {"user_id": "zz", "fans": None, "n_user": None},
        {"n": 3, "fans": None, "n_user": None},
    ]


def test_without_the_table_rows_stay_as_they_are():
    """Rows that were joined elsewhere bring the columns themselves."""
    assert _joined([{"user_id": "a", "fans": 3}], None) == [{"user_id": "a", "fans": 3}]


def test_of_equal_keys_the_last_counts_and_unusable_rows_are_counted():
    """Tables are snapshots; a later line is a later state."""
    with Tables([USERS]) as tables:
        users = [
            *_records({"user_id": "a", "fans": 1, "n": 0}, {"user_id": "a", "fans": 2}, {"fans": 3})
        ]
        broken = _records({"user_id": "b"}, fault="not UTF-8")
        assert tables.add("user.csv", [*users, *broken]) == 2
        (row,) = tables.joined(_records({"user_id": "a"}))
        assert row.cells["fans"] == 2


@pytest.mark.parametrize(("name", "is_table"), [("yelp_user.json", True), ("reviews.csv", False)])
def test_tables_are_told_by_their_files_names(name, is_table):
    """By the spec's pattern."""
    with Tables([USERS]) as tables:
        assert tables.is_table(name) is is_table


def test_keys_of_numbers_match_keys_of_text():
    """A CSV file and a JSON file may hold the two sides."""
    assert _joined([{"user_id": "12"}], [{"user_id": 12, "fans": 4, "n": 1}])[0]["fans"] == 4


def test_a_table_without_its_key_or_a_column_is_refused():
    """Joining gaps over a row's own columns would be a silent loss."""
    with Tables([USERS]) as tables, pytest.raises(DatasetSchemaError, match="user_id"):
        tables.add("user.csv", _records({"id": "a", "fans": 1, "n": 2}))


def test_a_row_without_a_key_matches_nothing():
    """Not even a user who is called None."""
    users = [{"user_id": "None", "fans": 7, "n": 1}]
    assert _joined([{"user_id": None}], users)[0]["fans"] is None
