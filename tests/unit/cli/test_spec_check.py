import json

import pytest
from typer.testing import CliRunner

from cli import main, shared, spec_check
from cli.main import app
from noria.errors import InvalidSpecError
from tests.support.specs import QUICK_TICKETS

ROWS = "short_description,close_notes,etiqueta\n" + "".join(
    f"la red no va {n},reinicio {n},{n % 3}\n" for n in range(60)
)


@pytest.fixture
def specs(tmp_path, monkeypatch):
    """A folder with one right spec and one with two faults."""
    folder = tmp_path / "layers" / "projects" / "python" / "projects"
    folder.mkdir(parents=True)
    (folder / "quick.toml").write_text(QUICK_TICKETS)
    wrong = QUICK_TICKETS.replace('"quick"', '"wrong"').replace("folds = 2", "folds = 1\nx = 1")
    (folder / "wrong.toml").write_text(wrong)
    monkeypatch.setattr(spec_check, "SPECS", folder)
    names = lambda: sorted(path.stem for path in folder.glob("*.toml"))  # noqa: E731
    for module in (spec_check, shared):
        monkeypatch.setattr(module, "project_names", names)
    return folder


def _run(*arguments):
    done = CliRunner().invoke(app, ["check", *map(str, arguments)], env={"COLUMNS": "200"})
    return done.exit_code, done.output


def test_every_fault_of_every_spec_is_told_with_file_and_line(specs):
    """Exit status 1, also where one of them is right."""
    status, said = _run()
    assert status == 1
    lines = (specs / "wrong.toml").read_text().splitlines()
    assert "projects/quick.toml: right" in said
    assert "projects/wrong.toml: 2 fault(s)" in said
    for key in ("folds = 1", "x = 1"):
        assert f"line {lines.index(key) + 1}: evaluation.{key[: key.index(' ')]}: " in said
    assert _run("quick")[0] == 0


def test_text_that_is_no_toml_is_told_with_its_file(specs):
    """TOML's own message has the line."""
    (specs / "wrong.toml").write_text('[project]\nname = "wrong\n')
    status, said = _run("wrong")
    assert status == 1
    assert "wrong.toml: not valid TOML" in said
    assert "line 2" in said


@pytest.mark.usefixtures("specs")
def test_files_are_told_as_a_training_would_read_them(tmp_path):
    """Columns, refused rows, classes, and whether they can be trained on."""
    path = tmp_path / "rows.csv"
    path.write_text(ROWS + "no tiene clase,x,9\n,,1\n")
    status, said = _run("quick", "--data", path)
    assert status == 0
    assert "62 records: 60 rows to train on" in said
    assert "classes: 0 20 (33.3%), 1 20 (33.3%), 2 20 (33.3%)" in said
    assert "short_description" in said
    status, said = _run("quick", "--data", path, "--json")
    shown = json.loads(said)
    assert shown["projects"] == {"quick": []}
    assert [column["name"] for column in shown["data"]["columns"]] == [
        "short_description",
        "close_notes",
    ]


@pytest.mark.usefixtures("specs")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("short_description,close_notes\na,b\n", "cannot be trained on: rows.csv: columns"),
        (ROWS[:400], "dataset.min_rows requires 50"),
        ("", "empty"),
    ],
)
def test_rows_that_cannot_be_trained_on_end_with_the_reason(tmp_path, body, said):
    """Exit status 1, before anything is uploaded."""
    path = tmp_path / "rows.csv"
    path.write_text(body)
    status, output = _run("quick", "--data", path)
    assert (status, said in output) == (1, True), output


@pytest.mark.usefixtures("specs")
def test_what_cannot_be_checked_is_said_in_a_line(tmp_path):
    """A file that is not there, one without its project, a project that is none."""
    for arguments, said in (
        (("quick", "--data", tmp_path / "none.csv"), "no such file"),
        (("--data", tmp_path), "--data needs the project"),
        (("nobody",), "no project 'nobody'; there are: quick, wrong"),
    ):
        status, output = _run(*arguments)
        assert (status, said in output) == (1, True), output


def test_nothing_is_deployed_with_a_wrong_spec(specs, monkeypatch):
    """`noria up` says what is wrong before it starts anything."""
    monkeypatch.setattr(main, "Target", lambda _: pytest.fail("it was started"))
    done = CliRunner().invoke(app, ["up"])
    assert done.exit_code == 1
    assert "wrong.toml: 2 fault(s)" in done.output
    (specs / "wrong.toml").unlink()
    spec_check.require_right_specs()
    (specs / "quick.toml").write_text("x")
    with pytest.raises(InvalidSpecError):
        spec_check.require_right_specs()
