import json

import pytest
from typer.testing import CliRunner

from cli import predict
from cli.main import app
from cli.predict import _row
from cli.target import HttpAnswer


def test_rows_are_read_by_the_columns_types():
    """A text that looks like a number stays text."""
    row = _row(["RM=6.5", "note=12345", "gap="], lambda: {"RM"})
    assert row == {"RM": 6.5, "note": "12345", "gap": ""}
    assert _row([json.dumps({"RM": 1})], set) == {"RM": 1}
    with pytest.raises(ValueError, match="RM: 'six' is no number"):
        _row(["RM=six"], lambda: {"RM"})


CSV = "id,CRIM,RM,NOX,TAX\n1,0.1,6.5,0.5,300\n2,0.2,,0.4,310\n3,x,5.5,0.3,320\n"


@pytest.fixture
def asked(monkeypatch):
    """What the API is asked."""
    sent = []

    class _Api:
        def __init__(self, stage):
            pass

        def call(self, method, path, body=None):
            if method == "GET":
                columns = {name: {"type": "number"} for name in ("CRIM", "RM", "NOX", "TAX")}
                return HttpAnswer(200, {"columns": columns})
            sent.append(body["inputs"])
            return HttpAnswer(200, {"value": 1.0})

    monkeypatch.setattr(predict, "Target", _Api)
    return sent


def _run(*arguments):
    return CliRunner().invoke(app, ["predict", "housing", *arguments])


def test_a_row_of_a_file_is_asked_about(asked, tmp_path):
    """Its cells of the model's columns; a gap is left out."""
    file = tmp_path / "rows.csv"
    file.write_text(CSV)
    assert _run("--data", str(file)).exit_code == 0
    assert _run("--data", str(file), "--row", "2").exit_code == 0
    assert asked == [
        {"CRIM": 0.1, "RM": 6.5, "NOX": 0.5, "TAX": 300.0},
        {"CRIM": 0.2, "NOX": 0.4, "TAX": 310.0},
    ]
    lines = tmp_path / "rows.jsonl"
    lines.write_text('{"id": 1, "RM": 6.5, "NOX": null}\n')
    assert _run("--data", str(lines)).exit_code == 0
    assert asked[2] == {"RM": 6.5}


@pytest.mark.parametrize(
    "arguments", [(), ("RM=6", "--data", "rows.csv"), ("--data", "rows.csv", "--row", "9"),
                  ("--data", "rows.csv", "--row", "3"), ("--data", "none.csv")]
)  # fmt: skip
def test_a_row_that_is_none_is_one_line(asked, tmp_path, monkeypatch, arguments):
    """Neither named, named twice, beyond the end, no number, no file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(CSV)
    result = _run(*arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert asked == []
