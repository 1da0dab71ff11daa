from collections import Counter

import pytest

from noria.data.splits import fold_indices, split_rows, unseen_rows
from noria.data.validation import TARGET, TIME
from noria.spec.model import SplitSection

COLUMNS = ["x"]


def _rows(n: int) -> list[dict]:
    return [
        {"x": f"text {i}", TARGET: str(i % 10 // 7), TIME: f"2026-01-{1 + i % 28:02d}"}
        for i in range(n)
    ]


@pytest.mark.parametrize("kind", ["random", "stratified", "time"])
def test_parts_are_disjoint_complete_and_of_the_asked_size(kind):
    """Every row is on exactly one side."""
    rows = _rows(1000)
    train, test = split_rows(rows, COLUMNS, SplitSection(kind=kind))
    assert sorted(r["x"] for r in train + test) == sorted(r["x"] for r in rows)
    assert abs(len(test) - 200) <= (30 if kind == "random" else 1)


def test_stratified_keeps_class_shares():
    """Each class gives the same fraction."""
    _, test = split_rows(_rows(1000), COLUMNS, SplitSection(kind="stratified"))
    assert Counter(row[TARGET] for row in test) == {"0": 140, "1": 60}


def test_a_random_split_does_not_move_old_rows_when_new_ones_come():
    """Else a champion's training rows would judge its successor."""
    split = SplitSection(kind="random")
    before = {row["x"] for row in split_rows(_rows(500), COLUMNS, split)[1]}
    after = {row["x"] for row in split_rows(_rows(1000), COLUMNS, split)[1]}
    assert before == {x for x in after if int(x.split()[1]) < 500}


@pytest.mark.parametrize("kind", ["random", "stratified"])
def test_rows_with_equal_inputs_stay_together(kind):
    """A repeated text in both parts would be scored from memory."""
    rows = _rows(300) + [{**row, TARGET: row[TARGET]} for row in _rows(300)]
    train, test = split_rows(rows, COLUMNS, SplitSection(kind=kind))
    assert not {r["x"] for r in train} & {r["x"] for r in test}


def test_time_holds_out_the_latest_rows():
    """The future is never trained on."""
    train, test = split_rows(_rows(280), COLUMNS, SplitSection(kind="time"))
    assert max(row[TIME] for row in train) <= min(row[TIME] for row in test)


def test_folds_score_every_row_once_and_never_what_they_fit():
    """Out-of-fold means out of fold."""
    rows = _rows(100)
    folds = fold_indices(rows, COLUMNS, SplitSection(kind="stratified"), 5)
    assert sorted(i for _, score in folds for i in score) == list(range(100))
    assert all(not set(fit) & set(score) for fit, score in folds)


def test_time_folds_only_look_back():
    """Fold k fits on rows before the ones it scores."""
    folds = fold_indices(_rows(100), COLUMNS, SplitSection(kind="time"), 4)
    assert all(max(fit) < min(score) for fit, score in folds)
    assert [len(fit) for fit, _ in folds] == [20, 40, 60, 80]


def _numbered(start, end):
    return [{"x": float(n), TARGET: "a"} for n in range(start, end)]


def test_rows_after_those_of_a_model_are_new_to_it():
    """Where time splits; the rows before them, which it was not trained on, are not."""
    split = SplitSection(kind="time")
    rows = _numbered(0, 3000)
    assert unseen_rows(rows, rows[500:2000], ["x"], split) == rows[2000:]
    assert unseen_rows(rows, rows, ["x"], split) == []
    assert unseen_rows(rows, _numbered(5000, 5100), ["x"], split) == rows
    assert unseen_rows(rows, [], ["x"], split) == rows


def test_later_rows_that_look_like_a_trained_one_stay_new():
    """A few of 2,000: they happen to come again."""
    seen = _numbered(0, 2000)
    rows = [*seen[:1995], *_numbered(2000, 3000), *seen[1995:], *_numbered(3000, 3500)]
    new = unseen_rows(rows, seen, ["x"], SplitSection(kind="time"))
    assert len(new) == len(rows) - 1980
    assert new[-1] == rows[-1]


def test_without_time_rows_with_other_inputs_are_new():
    """Whatever their target."""
    rows = [{"x": 1.0, TARGET: "a"}, {"x": 1.0, TARGET: "b"}, {"x": 2.0, TARGET: "a"}]
    assert unseen_rows(rows, rows[:1], ["x"], SplitSection(kind="random")) == rows[2:]
