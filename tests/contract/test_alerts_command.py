"""`noria test-alert` with the step and the adapter that deliver alerts; services in memory."""

import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cli import alerts
from cli.main import app
from infra.names import SPECS
from noria.spec import loader
from noria.steps.notify import NotifyRequest, notify
from noria_aws.aws.webhooks import SecretWebhooks
from tests.support.fakes import MemoryClaims, SteppingClock

SECRET = '{"*": {"slack": {"url": "https://hooks.example.org/secret"}}}'


class _Secrets:
    """Secrets Manager with one secret."""

    def __init__(self):
        self.value = SECRET

    def get_secret_value(self, SecretId):
        return {"SecretString": self.value}

    def put_secret_value(self, SecretId, SecretString):
        self.value = SecretString


@pytest.fixture
def stage(monkeypatch):
    """The laptop's stack with two chat services; what is published is delivered at once."""
    found = loader.load_spec(SPECS / "tickets.toml")
    chatting = found.alerts.model_copy(update={"channels": ("slack", "telegram")})
    spec = found.model_copy(update={"alerts": chatting})
    monkeypatch.setattr(loader, "load_spec", lambda _: spec)
    store, published = _Secrets(), []

    def publish(alert):
        published.append(alert)
        if made.delivers:
            notify(
                NotifyRequest(alert.to_dict()), spec=spec, claims=MemoryClaims(),
                webhooks=SecretWebhooks(store, "s"), clock=SteppingClock(),
            )  # fmt: skip

    made = SimpleNamespace(
        emulator=object(), actor="me", outputs={"ChannelsSecret": "s"}, client=lambda _: store,
        alert_topic=SimpleNamespace(publish=publish), alert_addresses=dict,
        store=store, published=published, delivers=True, spec=spec,
    )  # fmt: skip
    monkeypatch.setattr(alerts, "Target", lambda _: made)
    return made


def test_a_receiver_shows_what_the_chat_services_would_get(stage):
    """And the secret is as it was."""
    result = CliRunner().invoke(app, ["test-alert", "tickets"])
    assert result.exit_code == 0, result.output
    for channel in ("slack", "telegram"):
        assert f"{channel} would get:" in result.output
    assert "this is a test" in result.output
    assert stage.store.value == SECRET
    assert "hooks.example.org" not in result.output


def test_a_service_that_gets_nothing_is_named(stage, monkeypatch):
    """The queue, the function or the secret is at fault."""
    monkeypatch.setattr(alerts, "_WAIT_SECONDS", 0.5)
    stage.delivers = False
    result = CliRunner().invoke(app, ["test-alert", "tickets"])
    assert result.exit_code == 1
    assert stage.store.value == SECRET


def test_each_test_is_an_alert_of_its_own(stage):
    """Or the second would be a duplicate of the first."""
    for _ in range(2):
        CliRunner().invoke(app, ["test-alert", "tickets"])
    first, second = stage.published
    assert first.alert_id != second.alert_id
    assert first.event == "TestAlert"


def test_a_stage_on_aws_says_whom_alerts_reach(stage):
    """Nothing of its secret is touched."""
    stage.emulator, stage.delivers = None, False
    result = CliRunner().invoke(app, ["test-alert", "tickets", "--stage", "prod"])
    assert result.exit_code == 0
    assert "alerts reach nobody by e-mail" in result.output
    assert "slack, telegram" in result.output
    assert json.loads(stage.store.value)["*"]["slack"]["url"].endswith("/secret")
