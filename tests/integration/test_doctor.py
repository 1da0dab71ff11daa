"""`noria doctor` on a deployed stage: what is whole, what is not, and what it leaves behind."""

import json

import pytest
from typer.testing import CliRunner

from cli import doctor
from cli.main import app
from tests.support.wheel import PROJECT, rows, train

CHECKS = {look.name for look in doctor.LOOKS}


@pytest.fixture
def run(target, monkeypatch):
    """Return what runs the command against the stage of the tests."""
    monkeypatch.setattr(doctor, "Target", lambda _: target)

    def doctor_of(*arguments):
        result = CliRunner().invoke(app, ["doctor", "--json", *arguments])
        found = json.loads(result.output)
        return result.exit_code, {f["check"]: f for f in found["findings"]}

    return doctor_of


def test_a_stage_without_champions_is_warned_of_and_one_row_can_be_asked(run, target):
    """Looks that have nothing to say are ok, and what a local stage lacks is a warning."""
    code, found = run()
    assert (code, set(found)) == (0, CHECKS)
    assert {f["state"] for f in found.values()} <= {"ok", "warning"}
    assert found["stacks"]["state"] == "ok"
    assert found["code"]["state"] == "ok"
    assert found["health"]["state"] == "warning"
    assert "noria train" in found["health"]["advice"]
    code, found = run("--smoke", PROJECT)
    assert (code, found[f"{PROJECT}: training"]["state"]) == (1, "fault")  # no champion


def test_with_a_champion_every_path_is_tried_and_nothing_is_left(run, target):
    """An answer, a label, a batch and a training; the files are gone afterwards."""
    assert train(target, rows(), candidates=["logistic_regression"]).status == "SUCCEEDED"
    champion = target.aliases.read(PROJECT)
    before = {o.key for o in target.artifacts.under("inbox/")}
    code, found = run("--smoke", PROJECT)
    smokes = [f for name, f in found.items() if name not in CHECKS]
    assert (code, len(smokes)) == (0, 3), found
    assert {f["state"] for f in smokes} == {"ok"}
    assert target.aliases.read(PROJECT) == champion
    assert {o.key for o in target.artifacts.under("inbox/")} == before
    for prefix in ("labels/", "batch-inbox/", "batch-results/"):
        assert not [*target.artifacts.under(prefix)], prefix


def test_what_is_broken_is_a_fault_with_the_exit_code(run, target, monkeypatch):
    """The control: a deployment of other code, and an API that does not answer."""
    monkeypatch.setattr("infra.bundling.code_version", lambda _: "other")
    monkeypatch.setattr(type(target), "api_url", "http://127.0.0.1:9")
    code, found = run()
    assert code == 1
    assert found["code"]["state"] == "warning"
    assert found["health"]["state"] == "fault"
    assert "does not answer" in found["health"]["text"]
