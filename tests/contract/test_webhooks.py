"""Chat messages over the loopback interface: what a service receives, refuses and wants later."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from noria.errors import SettingsError, StoreUnavailableError
from noria.records.alert import make_alert
from noria.reporting.chats import MESSAGES
from noria_aws.aws.webhooks import SecretWebhooks


class _Secrets:
    """Secrets Manager's one call."""

    def __init__(self, secret):
        self._secret = secret

    def get_secret_value(self, SecretId):
        return {"SecretString": json.dumps(self._secret)}


@pytest.fixture
def receiver():
    """A service on the loopback interface; `status` is what it answers next."""
    received = []

    class _Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received.append((self.path, headers, json.loads(body)))
            self.send_response(server.status)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), _Handler)
    server.status, server.received = 200, received
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _webhooks(receiver, **more):
    base = f"http://127.0.0.1:{receiver.server_port}"
    channels = {
        "slack": {"url": f"{base}/slack"},
        "discord": {"url": f"{base}/discord"},
        "telegram": {"url": f"{base}/telegram", "chat_id": "-100"},
        "webhook": {"url": f"{base}/own", "authorization": "Bearer secret"},
    }
    return SecretWebhooks(_Secrets({"*": channels, **more}), "channels")


def _message(channel):
    alert = make_alert(
        "id", "loans", "RunFailed", "KeyError: sesión", links={"report": "k"},
        at="2026-03-01T00:00:00+00:00",
    )  # fmt: skip
    return MESSAGES[channel](alert)


@pytest.mark.parametrize("channel", MESSAGES)
def test_each_channel_receives_its_message(receiver, channel):
    """JSON, accents whole; Telegram's chat and a service's key come from the secret."""
    _webhooks(receiver).send("loans", channel, _message(channel))
    ((path, headers, body),) = receiver.received
    assert path.endswith({"webhook": "own"}.get(channel, channel))
    assert headers["content-type"] == "application/json"
    assert "sesión" in json.dumps(body, ensure_ascii=False)
    if channel == "telegram":
        assert body["chat_id"] == "-100"
    if channel == "webhook":
        assert headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_service_that_wants_less_or_is_ill_is_tried_again(receiver, status):
    """By the queue; the address stays a secret."""
    receiver.status = status
    with pytest.raises(StoreUnavailableError, match=f"answered {status}") as raised:
        _webhooks(receiver).send("loans", "slack", _message("slack"))
    assert "127.0.0.1" not in raised.value.message


@pytest.mark.parametrize("status", [400, 404])
def test_a_service_that_refuses_for_good_is_a_wrong_secret(receiver, status):
    """No retry can help."""
    receiver.status = status
    with pytest.raises(SettingsError, match="check the secret"):
        _webhooks(receiver).send("loans", "slack", _message("slack"))


def test_a_service_that_is_away_is_tried_again(receiver):
    """No process listens on the port."""
    webhooks = _webhooks(receiver, loans={"slack": {"url": "http://127.0.0.1:9/x"}})
    with pytest.raises(StoreUnavailableError):
        webhooks.send("loans", "slack", _message("slack"))


@pytest.mark.parametrize("secret", [{}, {"loans": {"slack": {}}}], ids=["none", "no url"])
def test_a_secret_without_the_channel_says_so(secret):
    """With the place to read about it."""
    with pytest.raises(SettingsError, match="no slack for loans"):
        SecretWebhooks(_Secrets(secret), "channels").send("loans", "slack", {})


def test_plain_http_is_for_the_loopback_interface_only():
    """A token must not travel in the clear."""
    secret = {"loans": {"slack": {"url": "http://example.com/x"}}}
    with pytest.raises(SettingsError, match="must be https"):
        SecretWebhooks(_Secrets(secret), "channels").send("loans", "slack", {})
