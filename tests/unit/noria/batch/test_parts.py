import csv
import io
from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noria.batch import parts
from noria.batch.parts import Part, read_header, record_runs, split_records
from noria.batch.reading import read_part
from noria.data.parsing import ByteBudget
from noria.errors import DatasetSchemaError
from noria.records.batch import FileLayout

LAYOUT = FileLayout(is_json=False, header=("a", "b"))
_CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


def _parts(body, layout=LAYOUT, rows=3):
    return list(split_records(io.BytesIO(body), layout, 2, rows, ByteBudget(10**9), "x.csv"))


def _read(parts, layout=LAYOUT, wanted=("a", "b")):
    rows, bad = [], []
    for part in parts:
        records = read_part(part, layout, wanted)
        columns = [records.cells[name].to_pylist() for name in wanted]
        rows += list(zip(records.lines.tolist(), *columns, strict=True))
        bad += records.bad
    return rows, bad


def _file(rows):
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(_CELLS, _CELLS), max_size=12), st.integers(1, 5))
def test_a_clean_file_reads_as_the_csv_module_reads_it(rows, per_part):
    """Quotes, line ends in cells, commas, whatever the parts."""
    body = _file(rows)
    expected = [row for row in csv.reader(io.StringIO(body.decode(), newline="")) if row]
    found, bad = _read(_parts(body, rows=per_part))
    assert [[a, b] for _, a, b in found] == expected
    assert not bad


_POISON = [
    b"one cell\n",
    b"1,2,3\n",
    b'"open,1\n',
    b"\xff\xfe,1\n",
    b"a\x00b,1\n",
    b'x"y"z",\n',
    b'"a"b,c\n',
]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from(_POISON), st.integers(0, 10**6)),
        min_size=1, max_size=30,
    ),
    st.integers(1, 7),
)  # fmt: skip
def test_every_good_line_is_read_and_every_bad_one_named(lines, per_part):
    """A bad record takes no other with it, in this part or the next."""
    body = b"".join(b"%d,ok\n" % n if good else bad for good, bad, n in lines)
    found, bad = _read(_parts(body, rows=per_part))
    good_lines = [place for place, (good, _, _) in enumerate(lines, start=2) if good]
    read = {line for line, _, b in found if b == "ok"}
    assert read == set(good_lines)
    named = {record.line for record in bad} | {line for line, _, b in found if b != "ok"}
    assert named == set(range(2, len(lines) + 2)) - set(good_lines)
    assert all(record.reason for record in bad)


def test_parts_hold_whole_records_and_every_byte_once():
    """A quoted line end does not split a record."""
    body = b'1,"x\ny"\n2,b\n3,"p\nq\nr"\n4,d\n'
    parts = _parts(body, rows=2)
    assert b"".join(part.body for part in parts) == body
    assert [part.first_line for part in parts] == [2, 5]


def test_a_quote_that_never_closes_costs_one_line():
    """Also where thousands of lines follow."""
    body = b'"never,1\n' + b"".join(b"%d,x\n" % n for n in range(3000))
    found, bad = _read(_parts(body, rows=1000))
    assert len(found) == 3000
    assert [(record.line, "parse" in record.reason) for record in bad] == [(2, True)]


def test_json_lines_are_read_by_name_and_nested_values_refused():
    """Numbers become cells as text; null is missing."""
    layout = FileLayout(is_json=True)
    body = b'{"a": 1.5, "b": null}\n\n{"a": [1]}\nnot json\n{"b": true, "c": 1}\n'
    records = read_part(Part(1, body), layout, ("a", "b"))
    assert records.cells["a"].to_pylist() == ["1.5", None]
    assert records.cells["b"].to_pylist() == [None, "true"]
    assert records.lines.tolist() == [1, 5]
    assert [record.line for record in records.bad] == [3, 4]


def test_the_header_may_have_a_mark_and_quoted_line_ends():
    """Its lines are counted, so that every row keeps its own line number."""
    lines = iter(io.BytesIO(b'\xef\xbb\xbf"a",b\r\n1,2\n'))
    assert read_header(lines, "x.csv", ",") == (("a", "b"), 1)


def test_long_cells_and_stray_quotes_before_a_real_one_are_read():
    """As the csv module reads them, with its own limit raised."""
    body = b'"' + b"x" * 200_000 + b'\ny",1\n' + b'5" pipe,"two\nlines"\n'
    found, bad = _read(_parts(body))
    assert [(line, b) for line, _, b in found] == [(2, "1"), (4, "two\nlines")]
    assert not bad


def _tried_line_by_line(lines, layout, parse):
    """Return records as `whole_records` does, each line tried with all that follow it: slowly."""
    at, records = 0, []
    while at < len(lines):
        n_taken = 1
        for n_lines in range(1, parts._RECORD_LINES + 1):
            text = [line.decode("utf-8", "surrogateescape") for line in lines[at : at + n_lines]]
            n_cells = parse(text)
            if n_cells is not None:
                n_taken = n_lines if n_lines == 1 or n_cells == len(layout.header) else 1
                break
        records.append(lines[at : at + n_taken])
        at += n_taken
    return records


def _n_cells(text):
    try:
        return len(next(csv.reader(text, strict=True)))
    except csv.Error:
        return None


_PIECES = st.sampled_from(['"', '"', ",", "x", '""', '","', "\r", '"x"', "\0"])


def _runs(body, layout=LAYOUT):
    return [*record_runs(io.BytesIO(body), layout, ByteBudget(10**9), "x.csv")]


def _records_of(runs):
    """Return the records of runs, as bytes."""
    return [
        run.body[first:last]
        for run in runs
        for first, last in zip([0, *run.ends.tolist()], run.ends.tolist(), strict=False)
    ]


@pytest.mark.parametrize("limit", [2, 3, 5, 1000])
@settings(max_examples=400, deadline=None)
@given(
    lines=st.lists(st.lists(_PIECES, max_size=6).map("".join), max_size=14), width=st.integers(1, 3)
)
def test_records_are_those_that_each_line_tried_with_all_that_follow_gives(lines, width, limit):
    """Whatever quotes do; also with a limit of lines that matters."""
    layout = FileLayout(False, tuple("abc"[:width]))
    given_lines = [f"{line}\n".encode() for line in lines]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_RECORD_LINES", limit)
        found = [*parts.whole_records(iter(given_lines), layout)]
        assert found == _tried_line_by_line(given_lines, layout, _n_cells)
        expected = [b"".join(record) for record in found]
        for n_bytes in (1, 7, 1 << 20):  # of a block: records may end in a later one
            patch.setattr(parts, "_BLOCK_BYTES", n_bytes)
            assert _records_of(_runs(b"".join(given_lines), layout)) == expected


@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=12))
def test_a_file_of_the_csv_module_is_regular(rows):
    """Nothing in it is read one by one, but what has an odd sign."""
    runs = _runs(csv_bytes := _file(rows))
    has_returns = "\r" in csv_bytes.decode().replace("\r\n", "")
    assert has_returns or [run.is_regular for run in runs] == [True]


@pytest.mark.parametrize(
    ("odd", "n_read", "is_named"),
    [
        (b"A\rB,1\n", 4_003, True),
        (b"A\r,1\n", 4_003, True),
        (b"A\x00B,1\n", 4_003, True),
        (b"\xef\xbb\xbfx,1\n", 4_004, False),
    ],
)
def test_an_odd_sign_far_from_any_quote_costs_its_line(monkeypatch, odd, n_read, is_named):
    """In a block without a quote too: Arrow would read other records, or another cell."""
    monkeypatch.setattr(parts, "_BLOCK_BYTES", 1_000)
    body = b'"q",0\n' + b"plain,1\n" * 4_000 + odd + b"last,9\n" + b"end,9\n"
    found, bad = _read([Part(2, body)])
    assert len(found) == n_read
    assert [record.line for record in bad] == ([4_003] if is_named else [])
    assert [(line, a) for line, a, b in found if b == "9"] == [(4_004, "last"), (4_005, "end")]
    if not is_named:
        assert (4_003, "\ufeffx", "1") in found


def test_reading_is_regular_again_after_a_stray_quote(monkeypatch):
    """One mark of inches costs its block, not the rest of the file."""
    monkeypatch.setattr(parts, "_BLOCK_BYTES", 1_000)
    body = b'5" pipe,1\n' + b'"a, b",2\n' * 10_000
    runs = _runs(body)
    assert b"".join(run.body for run in runs) == body
    n_alone = sum(not run.is_regular for run in runs)
    assert 1 <= n_alone <= 1_000 // 9 + 1
    assert sum(len(run.ends) for run in runs) == 10_001


def test_bytes_are_counted_once_however_often_they_are_looked_at():
    """A budget of the file's size suffices, and one byte less does not."""
    body = b'"two\nlines",1\n5" pipe,1\n"never,1\n' + b"x,1\n" * 2_000
    for missing in (0, 1):
        budget = ByteBudget(len(body) - missing)
        runs = record_runs(io.BytesIO(body), LAYOUT, budget, "x.csv")
        with nullcontext() if not missing else pytest.raises(DatasetSchemaError):
            assert len(_records_of(runs)) == 2_003


def test_a_chain_of_quotes_that_never_close_is_read_in_linear_time(monkeypatch):
    """Each line closes a quote and opens another. The control tries each with those that follow."""
    lines, n_parsed = [b'x","\n'] * 150, 0
    stock = parts._LinesAhead._n_cells

    def counted(ahead, text):
        nonlocal n_parsed
        n_parsed += 1
        return stock(ahead, text)

    monkeypatch.setattr(parts._LinesAhead, "_n_cells", counted)
    assert [*parts.whole_records(iter(lines), LAYOUT)] == [[line] for line in lines]
    assert n_parsed <= 4 * len(lines)
    tried = []
    _tried_line_by_line(lines, LAYOUT, lambda text: tried.append(text))
    assert len(tried) > 50 * len(lines)
