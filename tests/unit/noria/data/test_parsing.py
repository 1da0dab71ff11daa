import gzip
from io import BytesIO

import pytest

from noria.data.parsing import MAX_COLUMNS, MAX_LINE_BYTES, ByteBudget, read_records
from noria.errors import DatasetSchemaError


def _records(body: bytes, name: str = "rows.csv", max_bytes: int = 10**9):
    return list(read_records(BytesIO(body), name, ByteBudget(max_bytes)))


@pytest.mark.parametrize(
    "body",
    [
        b"a,b\n1,x\n",
        b"\xef\xbb\xbfa,b\n1,x\n",
        b"a,b\r\n1,x\r\n",
        b" a ,b \n1,x\n",
        b"a,b\n1,x",
    ],
    ids=["plain", "BOM", "CRLF", "blanks in header", "no last newline"],
)
def test_equal_content_in_other_clothes_gives_equal_records(body):
    """Byte order marks, line ends and blanks are not content."""
    assert [r.cells for r in _records(body)] == [{"a": "1", "b": "x"}]


def test_a_quoted_newline_stays_in_its_cell_and_lines_are_counted():
    """A record may span lines; its number is that of its first line."""
    records = _records(b'a,b\n1,"x\ny"\n2,z\n')
    assert [(r.line, r.cells["b"]) for r in records] == [(2, "x\ny"), (4, "z")]


def test_bytes_that_are_not_utf8_fault_their_record_only():
    """One broken cell does not cost the file."""
    bad, good = _records("a,b\n1,sesi\xf3n\n2,ok\n".encode("latin-1"))
    assert "not UTF-8" in bad.fault
    assert good.fault is None


def test_a_line_of_100_mb_is_one_faulty_record_in_little_memory():
    """The long line is passed over in pieces; its neighbours survive."""

    class Long(BytesIO):
        largest = 0

        def readline(self, size=-1):
            Long.largest = max(Long.largest, size)
            return super().readline(size)

    body = b"a,b\n1,x\n" + b"2," + b"y" * 100_000_000 + b"\n3,z\n"
    records = list(read_records(Long(body), "rows.csv", ByteBudget(10**9)))
    assert [r.fault is None for r in records] == [True, False, True]
    assert "more than" in records[1].fault
    assert Long.largest == MAX_LINE_BYTES


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("rows.csv", b"", "empty"),
        ("rows.csv", b'a,b\n1,"never closed\n2,x\n', "quote that is never closed"),
        ("rows.csv", b"a,a\n1,2\n", "repeated columns"),
        ("rows.csv", b"a;b\n1;2\n", "dataset.delimiter = ';'"),
        ("rows.csv", b"\xff\xfe,b\n1,2\n", "not readable UTF-8"),
        ("rows.xlsx", b"PK", "unknown format"),
        ("rows.csv.gz", gzip.compress(b"a,b\n1,x\n" * 1000, mtime=0)[:-20], "truncated"),
        ("rows.csv.gz", b"a,b\n", "damaged"),
    ],
    ids=["empty", "open quote", "repeated", "semicolons", "UTF-16", "xlsx", "cut gzip", "no gzip"],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(name, body, said):
    """The whole file is refused, not silently shortened."""
    with pytest.raises(DatasetSchemaError, match=said):
        _records(body, name)


def test_a_gzip_bomb_stops_at_the_budget():
    """Memory and time are bounded whatever the archive claims."""
    body = gzip.compress(b"a\n" + b"0\n" * 2_000_000)
    with pytest.raises(DatasetSchemaError, match=r"dataset\.max_bytes"):
        _records(body, "rows.csv.gz", max_bytes=1_000_000)


def test_a_header_of_many_names_is_refused_in_few_words():
    """A message beyond 256 KB would end the execution without an alert."""
    body = ",".join(f"column{i}" for i in range(20_000)).encode() + b"\n1\n"
    with pytest.raises(DatasetSchemaError, match=f"at most {MAX_COLUMNS:,}") as caught:
        _records(body)
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": "\\ud800"}',
        b'{"a": 1e999}',
        b'{"\\udfff": 1}',
        b'{"a": {"b": "\\ud800"}}',
        b"[" * 99_999,
    ],
    ids=["surrogate", "beyond range", "surrogate name", "deep surrogate", "deep"],
)
def test_json_that_cannot_be_written_again_faults_its_record(line):
    """One hostile line must not stop the run."""
    records = _records(line + b'\n{"a": 1}\n', "rows.jsonl")
    assert [record.fault is None for record in records] == [False, True]


def test_the_suffix_alone_tells_the_format():
    """A name may hold anything."""
    assert _records(b"a\n1\n", "rows.jsonl.csv")[0].cells == {"a": "1"}


def test_json_lines_fault_line_by_line():
    """Each broken line keeps its text; good ones become records."""
    body = b'{"a": 1}\nnope\n[1]\n{"a": NaN}\n\n{"a": "\xc3\xb1"}\n'
    records = _records(body, "rows.jsonl")
    assert [r.fault is None for r in records] == [True, False, False, False, True]
    assert records[-1].cells == {"a": "ñ"}


def test_too_many_or_too_few_cells_fault_the_record():
    """A shifted row must not be read into the wrong columns."""
    assert [r.fault for r in _records(b"a,b\n1\n1,2,3\n1,2\n")] == [
        "1 cells where the header has 2",
        "3 cells where the header has 2",
        None,
    ]
