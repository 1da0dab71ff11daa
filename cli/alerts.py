"""`noria test-alert`: is anybody reached? On this machine a receiver shows what chats would get."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import typer

from cli.display import alerts_line, console
from cli.shared import Project, Stage, checked, told
from cli.target import Target
from infra.names import LOCAL_STAGE as LOCAL
from infra.names import SPECS

_WAIT_SECONDS, _POLL_SECONDS = 60.0, 0.2


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("test-alert")(send_test_alert)


def send_test_alert(project: Project, stage: Stage = LOCAL) -> None:
    """Send a test alert to everybody whom alerts of a project reach.

    On the stack of this machine it needs no account of a chat service: a receiver on the loopback
    interface takes the messages and shows them as the services would get them.
    """
    from noria.records.alert import make_alert
    from noria.spec.loader import load_spec

    with told():
        target, name = Target(stage), checked(project)
        channels = load_spec(SPECS / f"{name}.toml").alerts.channels
        now = datetime.now(UTC).isoformat()
        text = f"sent by {target.actor} to see whether alerts arrive"
        alert_id = f"{name}-TestAlert-{secrets.token_hex(4)}"
        alert = make_alert(alert_id, name, "TestAlert", text, links={}, at=now)
        if target.emulator and channels:
            with _receiver(target, channels) as messages:
                target.alert_topic.publish(alert)
                _show(channels, messages)
            return
        target.alert_topic.publish(alert)
        console.print(f"published: {alert.subject()}", markup=False)
        console.print(alerts_line(target.alert_addresses()))
        shown = ", ".join(channels) if channels else "none: the spec names no [alerts] channels"
        console.print(f"chat services: {shown}", markup=False)


type _Message = tuple[str, Any]  # (channel, what it would get)


@contextmanager
def _receiver(target: Target, channels: tuple[str, ...]) -> Iterator[list[_Message]]:
    """Let the stack's chat services be this process; their secret is as before afterwards."""
    messages: list[_Message] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            messages.append((self.path.strip("/"), json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    place = f"http://127.0.0.1:{server.server_port}"
    addresses = {name: {"url": f"{place}/{name}"} for name in channels}
    if "telegram" in addresses:
        addresses["telegram"]["chat_id"] = "1"
    client, secret = target.client("secretsmanager"), target.outputs["ChannelsSecret"]
    before = client.get_secret_value(SecretId=secret)["SecretString"]
    client.put_secret_value(SecretId=secret, SecretString=json.dumps({"*": addresses}))
    try:
        yield messages
    finally:
        client.put_secret_value(SecretId=secret, SecretString=before or "{}")
        server.shutdown()
        server.server_close()


def _show(channels: tuple[str, ...], messages: list[_Message]) -> None:
    """Show each message as it comes; RuntimeError names the channels that got none."""
    deadline, n_shown = time.monotonic() + _WAIT_SECONDS, 0
    while n_shown < len(channels) and time.monotonic() < deadline:
        for channel, message in messages[n_shown:]:
            console.print(f"{channel} would get:", markup=False)
            console.print_json(json.dumps(message))
            n_shown += 1
        time.sleep(_POLL_SECONDS)
    if missing := sorted(set(channels) - {channel for channel, _ in messages}):
        raise RuntimeError(f"nothing came within {_WAIT_SECONDS:.0f} s for: {', '.join(missing)}")
