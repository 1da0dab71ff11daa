"""Messages within the services' published limits, and inert whatever is in them."""

import json
from html.parser import HTMLParser

import pytest

from noria.records.alert import make_alert
from noria.reporting.chats import MESSAGES

INJECTIONS = [
    "<!channel>", "<!here>", "<!everyone>", "<@U012AB3CD>", "<#C123|general>", "<!subteam^S1>",
    "<https://evil.example|click>", "<mailto:a@b.c|mail>", "&lt;!channel&gt;", "@everyone", "@here",
    "<@123456789012345678>", "<@&987654321>", "<#112233>", "<:smile:123>", "<t:1618953630:R>",
    "*bold*", "_italic_", "~strike~", "`code`", "```block```", "> quote", ">>> quote", "||spoiler||",
    "[click](https://evil.example)", "![x](https://evil.example/x.png)", "# heading", "- list",
    "**bold**", "__under__", "***both***", "\\*escaped\\*", "<b>bold</b>", "<script>alert(1)</script>",
    "<a href='https://evil.example'>x</a>", "<img src=x onerror=alert(1)>", "</b>", "<tg-spoiler>x",
    "&amp;", "&#60;script&#62;", "javascript:alert(1)", "data:text/html,<b>x", "https://evil.example",
    "\u202eevil", "\u0000nul", "\r\nSubject: x", "${jndi:ldap://x}", "{{7*7}}", "{% x %}", "%s%n",
    "'; DROP TABLE x;--", "\"}],\"text\":\"x", "\\u003c!channel\\u003e", "=cmd|' /C calc'!A0", "<!date^1^x|y>",
    "a" * 10_000, "😀" * 3000, "\n" * 500, "<" * 4000, "@" * 4000,
]  # fmt: skip


def _alert(text, where):
    alert = make_alert("id", "loans", "ModelUnhealthy", "x moved", links={"report": "k"}, at="2026-03-01T00:00:00+00:00")  # fmt: skip
    changes = {"links": ((text, text),)} if where == "links" else {where: text}
    return type(alert)(**{**vars(alert), **changes})


def test_there_are_sixty_injections():
    """As many as were asked for."""
    assert len(INJECTIONS) >= 60


@pytest.mark.parametrize("where", ["project", "title", "text", "advice", "links"])
@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_slack_messages_fit_and_mention_no_person(text, where):
    """No `<` survives: no mention, no link, no command."""
    message = MESSAGES["slack"](_alert(text, where))
    (attachment,) = message["attachments"]
    blocks = attachment["blocks"]
    assert len(blocks) <= 50
    total = len(message["text"])
    for block in blocks:
        parts = block["elements"] if block["type"] == "context" else [block["text"]]
        for part in parts:
            most = 150 if block["type"] == "header" else 3000
            assert 1 <= len(part["text"]) <= most
            total += len(part["text"])
            if part["type"] == "mrkdwn":
                assert "<" not in part["text"]
            else:
                assert part["type"] == "plain_text"
    assert total < 13_200
    assert "<" not in message["text"]
    json.dumps(message).encode()


@pytest.mark.parametrize("where", ["project", "title", "text", "advice", "links"])
@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_discord_messages_fit_and_mention_no_person(text, where):
    """Mentions are switched off, and markup is escaped."""
    message = MESSAGES["discord"](_alert(text, where))
    assert message["allowed_mentions"] == {"parse": []}
    (embed,) = message["embeds"]
    assert len(embed["title"]) <= 256
    assert len(embed["description"]) <= 4096
    assert len(embed["fields"]) <= 25
    assert all(len(f["name"]) <= 256 and len(f["value"]) <= 1024 for f in embed["fields"])
    parts = [embed["title"], embed["description"], embed["footer"]["text"]]
    parts += [part for f in embed["fields"] for part in (f["name"], f["value"])]
    assert sum(map(len, parts)) <= 6000
    own = "**What to do:** "
    shown = "".join(parts).replace(own, "")
    for sign in "*_~`|[]<>":
        assert shown.count(sign) == shown.count(f"\\{sign}")
    assert "://" not in shown


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)
        assert not attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("where", ["project", "title", "text", "advice", "links"])
@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_telegram_messages_fit_and_are_well_formed(text, where):
    """Only our own bold survives; a tag cut in half would be refused."""
    message = MESSAGES["telegram"](_alert(text, where))
    assert 1 <= len(message["text"]) <= 4096
    parser = _Tags()
    parser.feed(message["text"])
    assert not parser.open
    assert parser.seen <= {"b"}
    assert message["disable_web_page_preview"] is True


def test_a_webhook_gets_the_alert_as_data():
    """Whoever has a service of their own reads fields, not prose."""
    message = MESSAGES["webhook"](_alert("x", "text"))
    assert message["links"] == {"report": "k"}
    assert message["level"] == "warning"
