import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cli import main
from cli.main import app
from noria.records.alias import Promotion
from noria.records.evaluation import VersionFacts
from noria.registry.versions import write_version
from tests.support.fakes import MemoryAliases, MemoryArtifacts
from tests.support.trained import tiny_bundle


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
        (["predict", "housing", "RM=six"], "could not convert"),
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


def test_rows_are_read_by_the_columns_types():
    """A text that looks like a number stays text."""
    from cli.main import _row

    row = _row(["RM=6.5", "note=12345", "gap="], lambda: {"RM"})
    assert row == {"RM": 6.5, "note": "12345", "gap": ""}
    assert _row([json.dumps({"RM": 1})], set) == {"RM": 1}


def test_samples_of_several_files_want_a_folder(tmp_path):
    """Partitions and tables come apart, as real ones do."""
    assert _run("sample", "messages", "-o", str(tmp_path / "one.csv")).exit_code == 1
    assert _run("sample", "messages", "-o", str(tmp_path), "--rows", "40").exit_code == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"sample_review.jsonl", "sample_user.jsonl", "sample_business.jsonl"}


def _promoted(aliases, version):
    revision = aliases.read("tickets").revision
    aliases.apply(
        Promotion("tickets", f"{version}-{revision}", version, revision, "manual", "r", "t", "now")
    )


def test_a_rollback_that_another_promotion_overtook_changes_nothing(monkeypatch):
    """The version to return to is taken from what was seen; unseen changes are not undone."""
    aliases, artifacts = MemoryAliases(), MemoryArtifacts()
    for version in ("v1", "v2", "v3"):
        write_version(artifacts, "tickets", version, tiny_bundle(), VersionFacts())
    for version in ("v1", "v2"):
        _promoted(aliases, version)
    overtaken, read = [], aliases.read

    def overtaking(project):
        """Another promotion comes right after the first look."""
        seen = read(project)
        if overtaken == [True]:
            overtaken.clear()
            _promoted(aliases, "v3")
        return seen

    target = SimpleNamespace(aliases=aliases, artifacts=artifacts)
    monkeypatch.setattr(main, "Target", lambda _: target)
    monkeypatch.setattr(aliases, "read", overtaking)
    overtaken.append(True)
    result = _run("rollback", "tickets")
    assert result.exit_code == 1
    assert "moved the alias" in result.output
    assert read("tickets").champion == "v3"
    assert _run("rollback", "tickets").exit_code == 0  # the control: nobody is faster
    assert (read("tickets").champion, read("tickets").previous_champion) == ("v2", "v3")
