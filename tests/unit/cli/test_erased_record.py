"""A record is found in each kind of file by its id, and the file without it is otherwise the same."""

import base64
import io
import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet
import pytest

from cli.erased_record import Record
from cli.sieve import Sieve
from noria.records.batch import FileLayout
from noria.spec.loader import parse_spec
from tests.support.specs import QUICK_TICKETS

LINES = b'{"prediction_id":"a1","record_id":"INC-7"}\n{"prediction_id":"a2","record_id":"INC-70"}\n'


def _spec(*ids):
    return parse_spec(f"{QUICK_TICKETS}[batch]\nid_columns = {json.dumps(ids)}\n", source="quick")


def _record(record_id="INC-7", *ids):
    return Record(record_id, _spec(*(ids or ("number",))))


def _sifted(without, body, record=None):
    out = io.BytesIO()
    sieve = Sieve(out, (record or _record()).mentions)
    without(io.BytesIO(body), sieve)
    return out.getvalue(), sieve.n_removed


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"line,number\n2,INC-7\n3,INC-70\n", b"line,number\n3,INC-70\n"),
        # The line of the file is not the column "line" of its rows, which is `id_line` here.
        (b"line,id_line,number\n7,8,x\n8,INC-7,y\n", b"line,id_line,number\n7,8,x\n"),
        # Rows that stay keep their bytes: quotes that were not needed, and breaks inside them.
        (b'line,number\n2,"INC-7"\n3,"b\n""c"\n4,"d"\n', b'line,number\n3,"b\n""c"\n4,"d"\n'),
        (b"line,text\n2,INC-7\n", b"line,text\n2,INC-7\n"),  # no id column
        # A column of the result is never an id column, though no id of that name is there.
        (b"line,number\nINC-7,x\n", b"line,number\nINC-7,x\n"),
        (b"line,number\n2,'INC-7\n", b"line,number\n2,'INC-7\n"),  # another id
    ],
)
def test_a_result_in_csv_loses_its_rows_and_keeps_the_bytes_of_the_others(body, kept):
    """A row is the record's by its id column alone."""
    record = _record("INC-7", "number", "line")
    assert _sifted(record.without_results("j.csv"), body)[0] == kept


def test_an_id_that_a_spreadsheet_would_run_is_found_behind_its_apostrophe():
    """In the header too."""
    record = _record("-x7", "=number")
    body = b"line,'=number\n2,'-x7\n3,'-x70\n"
    assert _sifted(record.without_results("j.csv"), body) == (b"line,'=number\n3,'-x70\n", 1)
    number = b"line,'=number\n2,-7\n"  # a number runs nothing
    assert _sifted(_record("-7", "=number").without_results("j.csv"), number)[1] == 1


def test_an_id_column_that_is_called_like_another_ones_shown_name_is_itself():
    """`id_number` is a column of the file here, and `number` another."""
    record = _record("7", "number", "id_number")
    body = b'{"number":"7","id_number":"1"}\n{"number":"2","id_number":"3"}\n'
    assert _sifted(record.without_results("j.jsonl"), body)[1] == 1


@pytest.mark.parametrize("ids", [pa.array([7, 70]), pa.array(["7", None]), pa.array(["7", "x"])])
def test_a_result_in_parquet_loses_the_row_and_keeps_its_types(ids):
    """Ids may be numbers there, or missing."""
    table = pa.table({"number": ids, "prediction": ["a", "b"], "confidence": [0.5, 0.25]})
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    record = _record("7")
    body, n_removed = _sifted(record.without_results("j.parquet"), out.getvalue())
    assert n_removed == 1
    assert pyarrow.parquet.read_table(io.BytesIO(body)).equals(table.slice(1))


def test_an_empty_result_in_parquet_stays():
    """A batch may have answered no row."""
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"number": pa.array([], pa.string())}), out)
    assert _sifted(_record().without_results("j.parquet"), out.getvalue())[1] == 0


def test_of_refused_rows_those_whose_cells_were_displaced_are_looked_at_everywhere():
    """A row that could be told apart is judged by its id column."""
    whole = {"field": "text", "reason": "missing"}
    broken = {"field": "(record)", "reason": "3 cells where the header has 2"}
    empty = {"field": "(record)", "reason": "none of the model's columns is there: text"}
    lines = [
        {"line": 1, "errors": [empty], "cells": {"number": "INC-8", "text": "of INC-7"}},
        {"line": 2, "errors": [whole], "cells": {"number": "INC-7"}},
        {"line": 3, "errors": [whole], "cells": {"number": "INC-8", "text": "as INC-7"}},
        {"line": 4, "errors": [broken], "cells": {"text": "INC-7"}},
        {"line": 5, "errors": [broken], "cells": {"text": "1,INC-7,x"}},
        {"line": 6, "errors": [broken], "cells": {"text": "1,INC-70,x"}},
        {"line": 7, "errors": [empty], "cells": {"(line)": '{"number": "INC-7'}},
    ]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    kept, n_removed = _sifted(_record().without_results("j-refused.jsonl.gz"), body)
    assert n_removed == 4
    assert [json.loads(line)["line"] for line in kept.splitlines()] == [1, 3, 6]


def test_of_failed_lines_that_firehose_packs_together_only_the_records_own_go():
    """Base 64 of many lines of the log; the packet stays while one is left."""

    def packed(lines):
        return json.dumps({"id": 1, "rawData": base64.b64encode(lines).decode()}).encode() + b"\n"

    first, second = LINES.splitlines(keepends=True)
    body = packed(LINES) + packed(first) + packed(second) + b"no line of Firehose\n"
    kept, n_removed = _sifted(_record().without_failed_lines, body)
    assert kept == packed(second) + packed(second) + b"no line of Firehose\n"
    assert n_removed == 2


def test_answers_are_found_by_the_ids_that_other_lines_tell():
    """A failure of a challenger carries no record id."""
    record = _record()
    failed = b'{"prediction_id":"a1","prediction":null}\n{"prediction_id":"a2"}\nnone\n[1]\n'
    assert _sifted(record.without_log_lines, failed)[1] == 0
    record.learn(io.BytesIO(LINES))
    assert _sifted(record.without_log_lines, failed) == (
        b'{"prediction_id":"a2"}\nnone\n[1]\n',
        1,
    )


def test_a_hashed_id_is_the_records_too():
    """Where record ids are personal, the log holds their hashes."""
    record = _record()
    line = json.dumps({"record_id": record.hashed, "prediction_id": "a9"}).encode()
    assert _sifted(record.without_log_lines, line)[1] == 1


@pytest.mark.parametrize(
    ("body", "layout", "is_in"),
    [
        (b"INC-7,x\n", FileLayout(False, ("number", "text")), True),
        (b"INC-70,INC-7\n", FileLayout(False, ("number", "text")), False),
        (b"INC-70,x,INC-7\n", FileLayout(False, ("number", "text")), True),  # displaced
        (b'{"number":"INC-7"}\n', FileLayout(True), True),
        (b'{"text":"INC-7"}\n', FileLayout(True), False),
        (rb'{"number":"INC\u002d7"}', FileLayout(True), True),  # as other languages escape
        (b"[" * 200_000 + b"INC-7", FileLayout(True), True),  # deeper than Python reads
        (b'{"number":"INC-7"}\n', None, True),  # of a file that was refused
        (b"number\nINC-7\n", None, True),
        (b'{"number":"INC-7\n', FileLayout(True), True),  # no JSON
    ],
)
def test_a_part_of_a_file_holds_the_record_where_an_id_column_does(body, layout, is_in):
    """What mentions it in a text is another record."""
    assert _record().is_in_part(body, layout) is is_in


def _parquet(table):
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    return out.getvalue()


def _arrow(table):
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("rows.csv", b"text\nas INC-7.\n"),
        ("page.html", b"<td>INC-7</td>"),
        ("rows.parquet", _parquet(pa.table({"text": ["b", "as INC-7 was"]}))),
        ("rows.parquet", _parquet(pa.table({"number": ["INC-7"]}))),
        ("rows.jsonl.gz", rb'{"number":"INC\u002d7"}'),
        ("rows.jsonl", rb'{"text":"see INC\u002d7"}'),
        ("rows.jsonl", rb'{"text":"see\nINC-7\tor"}'),
        ("rows.jsonl", rb'{"text":"see \u201cINC-7\u201d"}'),
        ("rows.parquet", _parquet(pa.table({"text": pa.array(["as INC-7"]).dictionary_encode()}))),
        ("rows.parquet", _parquet(pa.table({"text": [["as INC-7"]]}))),
        ("answers/000000", _arrow(pa.table({"number": ["INC-7"]}))),
        ("rows.csv", b"x" * ((1 << 20) - 2) + b" INC-7 "),  # across two blocks
    ],
)
def test_what_holds_or_mentions_an_id_is_seen_in_every_format(name, body):
    """And the same files with another id are not."""
    assert _record().is_in_file(name, io.BytesIO(body))
    assert not _record("INC-9").is_in_file(name, io.BytesIO(body))


@pytest.mark.parametrize(
    "shown", [b"a&amp;&#34;b&#34;", rb"a&\"b\"", b'a&""b""', b'a&"b"', b"\\u00f1-a&"]
)
def test_an_id_is_seen_as_pages_json_and_csv_write_it(shown):
    """Quotes and ampersands are escaped in each their own way."""
    record = _record("ñ-a&" if shown.startswith(b"\\u") else 'a&"b"')
    assert record.mentions(b" " + shown + b" ")


def test_a_short_id_is_looked_for_in_id_columns_only():
    """A 7 is a word of too many texts; in an id column it is the record."""
    record = _record("7")
    assert not record.mentions(b"7")
    assert not record.is_in_file("a.csv", io.BytesIO(b"number,text\n8,7\n"))
    assert record.is_in_file("a.csv", io.BytesIO(b"number,text\n7,x\n"))
    assert record.is_in_file("train/rows.jsonl.gz", io.BytesIO(b'{"_id":"7"}\n'))
    assert not record.is_in_file("features.npz", io.BytesIO(b"7"))


def test_part_of_a_number_is_no_mention():
    """Confidences are full of digits."""
    assert not _record("1234").mentions(b'{"confidence":0.1234,"x":1234.5}')
    assert _record("1234").mentions(b'{"x":1234}')


def test_a_page_holds_the_record_in_a_cell():
    """Escaped as pages are."""
    assert _record("a<b").is_in_page(b"<td>a&lt;b</td>")
    assert not _record("INC-7").is_in_page(b"<td>INC-70</td>")


@pytest.mark.parametrize("name", ["j.jsonl", "j-refused.jsonl.gz"])
def test_a_record_called_none_is_no_missing_id(name):
    """Clients in Python send it."""
    line = {"number": "INC-8", "prediction": "a", "cells": {"number": None}, "errors": []}
    body = json.dumps(line).encode() + b"\n"
    assert _sifted(_record("None", "number", "caller").without_results(name), body) == (body, 0)
    parquet = _parquet(pa.table({"number": pa.array([None, "x"])}))
    assert _sifted(_record("None").without_results("j.parquet"), parquet)[1] == 0


def test_ids_that_are_no_texts_are_compared_as_results_write_them():
    """True is `true` there."""
    body = b'{"number":true}\n{"number":7}\n'
    assert _sifted(_record("true").without_results("j.jsonl"), body) == (b'{"number":7}\n', 1)
    assert _sifted(_record("7").without_results("j.jsonl"), body)[1] == 1


def test_an_upload_is_looked_through_by_the_other_names_of_its_columns():
    """As training and batches read it."""
    text = QUICK_TICKETS.replace(
        "[target]",
        'number = { type = "category", optional = true, aliases = ["ID Number"] }\n[target]',
    ).replace(
        "[[candidates]]",
        '[[features]]\nname = "n"\nkind = "frequency"\ncolumns = ["number"]\n[[candidates]]',
        1,
    )
    spec = parse_spec(f'{text}[batch]\nid_columns = ["number"]\n', source="quick")
    body = _parquet(pa.table({"ID Number": [70012]}))
    assert Record("70012", spec).is_in_file("rows.parquet", io.BytesIO(body))
    assert not Record("7001", spec).is_in_file("rows.parquet", io.BytesIO(body))


def test_an_id_at_the_end_of_a_block_may_be_part_of_a_longer_one():
    """Files are read a piece at a time."""
    body = b"x" * ((1 << 20) - 6) + b" INC-7" + b"0 "
    assert not _record().is_in_file("rows.csv", io.BytesIO(body))
    assert _record("INC-70").is_in_file("rows.csv", io.BytesIO(body))
    assert _record().is_in_file("rows.csv", io.BytesIO(body[:-2]))


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        (pa.array([12345.0, None]), "12345"),  # whole numbers with gaps, as pandas writes them
        (pa.array([12345, None]), "12345"),
        (pa.array([b"12345", b"x"]), "12345"),
        (pa.array([datetime(2026, 3, 1, 12), None]), "2026-03-01 12:00:00.000000"),
        (pa.array(["12345", "x"]).dictionary_encode(), "12345"),
    ],
)
def test_ids_of_any_type_in_parquet_are_compared_as_a_batch_reads_them(ids, shown):
    """What stands in the results of a batch is what is asked for."""
    body = _parquet(pa.table({"number": ids}))
    assert _record(shown).is_in_file("rows.parquet", io.BytesIO(body))
    assert not _record(f"{shown}9").is_in_file("rows.parquet", io.BytesIO(body))


def test_an_id_of_wide_characters_is_found_wherever_a_block_ends(monkeypatch):
    """As JSON escapes them, one takes twelve bytes."""
    monkeypatch.setattr("cli.erased_record._BLOCK_BYTES", 64)
    record = _record("😀😀😀😀")
    shown = json.dumps("😀😀😀😀").encode()
    assert len(shown) == 50
    for before in range(130):
        assert record.is_in_file("x.html", io.BytesIO(b" " * before + shown + b" " * 90)), before


def test_what_is_no_base_64_keeps_nothing_else_from_being_learned():
    """A line of somebody else's."""
    record = _record()
    record.learn(io.BytesIO(b'{"rawData":"A"}\n' + LINES))
    assert record.predictions == {"a1"}


def test_a_number_that_is_the_id_is_a_mention_beside_escapes_too():
    """A line with an escape is read, not searched."""
    for text in ("a b", "a\nb"):
        line = json.dumps({"parent": 1234567, "t": text}).encode()
        assert _record("1234567").mentions(line)
        assert not _record("123456").mentions(line)


def test_a_short_id_in_an_unreadable_line_is_taken_out():
    """Its part is deleted for the same reason."""
    line = {"line": 2, "errors": [{"field": "(record)", "reason": "not valid JSON: x"}]}
    body = json.dumps({**line, "cells": {"(line)": '{"number": 7, "t":'}}).encode()
    assert _sifted(_record("7").without_results("j-refused.jsonl.gz"), body)[1] == 1
    assert _sifted(_record("70").without_results("j-refused.jsonl.gz"), body)[1] == 0


def test_a_nested_column_named_like_an_id_hides_no_other():
    """A batch takes none of its kind."""
    table = pa.table({"number": [["a"]], "text": pa.array(["see INC-7"], pa.string_view())})
    assert _record().is_in_file("rows.parquet", io.BytesIO(_parquet(table)))
