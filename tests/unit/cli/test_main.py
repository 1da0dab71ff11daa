import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cli import main
from cli.main import app
from cli.target import HttpAnswer


def _run(*arguments):
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "ticket"], "there are: customers, housing, messages, tickets"),
        (["history", "nobody"], "no project 'nobody'"),
        (["train", "tickets", "--stage", "prod"], "name your rows with --data"),
        (["train", "tickets", "--data", "/no/such/file.csv"], "there is no such file"),
        (["predict", "housing", "RM"], "not column=value"),
        (["predict", "housing", "RM=six"], "RM: 'six' is no number"),
        (["predict", "housing", "{"], "Expecting"),
        (["demo", "nobody"], "the demo knows"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_1(arguments, said):
    """No traceback, and what to do instead."""
    result = _run(*arguments)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "command",
    (
        "up down status sample train report predict history promote rollback demo "
        "monitor drift performance feedback approve open simulate"
    ).split(),
)
def test_every_command_teaches_itself(command):
    """`--help` says what it does."""
    result = _run(command, "--help")
    assert result.exit_code == 0
    assert len(result.output) > 200


def test_sample_writes_what_train_reads(tmp_path):
    """The same generator, by file."""
    path = tmp_path / "rows.csv"
    assert _run("sample", "tickets", "-o", str(path), "--rows", "30").exit_code == 0
    assert path.read_text(encoding="utf-8").count("\n") == 31


def test_help_lists_first_what_one_needs_first():
    """A new user reads from the top."""
    said = CliRunner().invoke(main.app, ["--help"]).output
    places = [said.index(f"│ {name} ") for name in ("up", "train", "predict", "check", "erase")]
    assert places == sorted(places)


def test_samples_of_several_files_want_a_folder(tmp_path):
    """Partitions and tables come apart, as real ones do."""
    assert _run("sample", "messages", "-o", str(tmp_path / "one.csv")).exit_code == 1
    assert _run("sample", "messages", "-o", str(tmp_path), "--rows", "40").exit_code == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"sample_review.jsonl", "sample_user.jsonl", "sample_business.jsonl"}


@pytest.mark.parametrize(
    ("addresses", "said"),
    [
        ({}, "alerts reach nobody by e-mail"),
        ({"a@example.org": True}, "alerts go to a@example.org"),
        ({"a@example.org": False}, "not confirmed: a@example.org"),
    ],
)
def test_status_says_whom_alerts_reach(monkeypatch, addresses, said):
    """An address that never confirmed hears nothing, and AWS does not say so."""

    def answered(*_, **__):
        return HttpAnswer(200, {"status": "ok", "projects": {}})

    target = SimpleNamespace(
        call=answered, api_url="https://api.example.org", alert_addresses=lambda: addresses
    )
    monkeypatch.setattr(main, "Target", lambda _: target)
    assert said in " ".join(_run("status", "--stage", "prod").output.split())
    assert "alert" not in _run("status").output  # the emulator writes to nobody
    listed = json.loads(_run("status", "--stage", "prod", "--json").output)
    assert listed["alert_addresses"] == addresses
