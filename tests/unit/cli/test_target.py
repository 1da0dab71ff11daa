"""Which key a command sends where."""

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.target import HttpAnswer, Target, answered
from noria.errors import SettingsError
from tests.support.access import MemoryAccessKeys


@pytest.fixture
def local(monkeypatch, tmp_path):
    """A target of the laptop's stack, whose table is in memory."""
    keys = MemoryAccessKeys()
    monkeypatch.setattr(Target, "access_keys", property(lambda self: keys))
    target = Target("local")
    target.emulator.folder = tmp_path
    return target, keys


def test_a_key_of_a_stage_is_never_sent_to_the_laptops_stack(monkeypatch, local):
    """Nor shown by it."""
    target, _ = local
    monkeypatch.setenv("NORIA_API_KEY", "noria_of_prod")
    assert target.api_key("user") != "noria_of_prod"
    assert Target("prod").api_key("admin") == "noria_of_prod"


def test_a_stage_without_a_key_says_how_to_make_one(monkeypatch):
    """With the scope that is needed."""
    monkeypatch.delenv("NORIA_API_KEY", raising=False)
    with pytest.raises(SettingsError, match="noria keys create NAME --scope admin --stage prod"):
        Target("prod").api_key("admin")


def test_the_laptops_keys_are_made_once_kept_by_their_owner_and_made_anew_where_forgotten(local):
    """An emulator that crashed has forgotten everything."""
    target, keys = local
    first = [target.api_key(scope) for scope in ("user", "admin", "user")]
    assert first[0] == first[2] != first[1]
    assert len(keys.keys) == 2
    file = target.emulator.folder / "keys.json"
    assert file.stat().st_mode & 0o777 == 0o600
    again = Target("local")
    again.emulator.folder = target.emulator.folder
    assert again.api_key("user") == first[0]
    keys.keys.clear()
    forgotten = Target("local")
    forgotten.emulator.folder = target.emulator.folder
    assert forgotten.api_key("user") != first[0]
    assert [key.is_limited for key in keys.keys.values()] == [False]


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "noria keys list"), (403, "another key"), (503, "gone")]
)
def test_an_answer_that_is_none_says_what_to_do(status, advice):
    """Not in a stack trace."""
    with pytest.raises(RuntimeError, match=advice):
        answered(HttpAnswer(status, {"detail": "gone"}))
    assert answered(HttpAnswer(200, {})).body == {}


def test_status_with_a_key_that_opens_nothing_is_one_line(monkeypatch):
    """And exit status 1."""
    monkeypatch.setattr(
        Target, "call", lambda *_, **__: HttpAnswer(401, {"detail": "send the header x-api-key"})
    )
    result = CliRunner().invoke(app, ["status"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
