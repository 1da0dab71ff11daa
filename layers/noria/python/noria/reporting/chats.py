"""Alerts in the words of each chat service: escaped, and cut to the service's limits.

Limits: Slack, 50 blocks, 3,000 characters a section, 150 a header; Discord, 4,096 characters a
description, 256 a title, 25 fields, 6,000 in all; Telegram, 4,096 characters.
"""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from noria.records.alert import Alert

COLOURS = {
    "info": "#36a64f",
    "success": "#00ff00",
    "warning": "#ff9900",
    "error": "#ff0000",
    "critical": "#8B0000",
}
_SLACK_HEADER, _SLACK_SECTION = 150, 3000
_DISCORD_TITLE, _DISCORD_TEXT = 256, 4096
_TELEGRAM_TEXT = 4096
_ZERO_WIDTH = "\u200b"

Message = dict[str, Any]


def slack(alert: Alert) -> Message:
    """Return an incoming webhook's message: text for notifications, blocks in a coloured bar.

    `&`, `<` and `>` are escaped as Slack asks, so no mention, link or command can be made.
    """
    head = _cut(f"{alert.project}: {alert.title}", _SLACK_HEADER)
    body = f"{_slack_text(alert.text)}\n*What to do:* {_slack_text(alert.advice)}"
    blocks: list[Message] = [
        {"type": "header", "text": {"type": "plain_text", "text": head, "emoji": False}},
        _section(body),
    ]
    if alert.links:
        lines = [f"*{_slack_text(n)}:* `{_slack_text(p)}`" for n, p in alert.links]
        blocks.append(_section("\n".join(lines)))
    foot = f"{alert.level.upper()} · {alert.at[:16]} UTC" + _held_back(alert)
    blocks.append({"type": "context", "elements": [{"type": "plain_text", "text": foot}]})
    return {
        "text": _slack_text(_cut(alert.subject(), _SLACK_HEADER)),
        "attachments": [{"color": COLOURS[alert.level], "blocks": blocks}],
    }


def discord(alert: Alert) -> Message:
    """Return a webhook's message: one embed, without mentions or markup."""
    text = f"{_discord_text(alert.text)}\n\n**What to do:** {_discord_text(alert.advice)}"
    embed = {
        "title": _cut(_discord_text(f"{alert.project}: {alert.title}"), _DISCORD_TITLE),
        "description": _cut(text, _DISCORD_TEXT),
        "color": int(COLOURS[alert.level].removeprefix("#"), 16),
        "timestamp": alert.at,
        "footer": {"text": alert.level.upper() + _held_back(alert)},
        "fields": [
            {"name": _cut(_discord_text(n), 256), "value": _cut(_discord_text(p), 1024)}
            for n, p in alert.links[:25]
        ],
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def telegram(alert: Alert) -> Message:
    """Return a bot's message in Telegram's HTML; the adapter adds the chat."""
    lines = [
        f"<b>{_html(_cut(f'{alert.project}: {alert.title}', 200))}</b>",
        _html(_cut(alert.text, 2500)),
        f"<b>What to do:</b> {_html(_cut(alert.advice, 500))}",
        *(f"<b>{_html(_cut(n, 40))}:</b> {_html(_cut(p, 200))}" for n, p in alert.links[:3]),
        f"{alert.level.upper()} · {alert.at[:16]} UTC{_held_back(alert)}",
    ]
    kept: list[str] = []
    for line in lines:  # whole lines only: a cut tag would be refused
        if len("\n".join([*kept, line])) <= _TELEGRAM_TEXT:
            kept.append(line)
    return {"text": "\n".join(kept), "parse_mode": "HTML", "disable_web_page_preview": True}


def webhook(alert: Alert) -> Message:
    """Return the alert itself, for a service of the user's own."""
    return {**alert.to_dict(), "links": dict(alert.links)}


MESSAGES: Mapping[str, Callable[[Alert], Message]] = {
    "slack": slack,
    "discord": discord,
    "telegram": telegram,
    "webhook": webhook,
}


def _section(text: str) -> Message:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, _SLACK_SECTION)}}


def _slack_text(text: str) -> str:
    """Escape; a zero-width space keeps `*_~` and backquotes from pairing up as markup."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "*_~`":
        escaped = escaped.replace(sign, f"{_ZERO_WIDTH}{sign}{_ZERO_WIDTH}")
    return escaped.replace("@", f"@{_ZERO_WIDTH}")


def _discord_text(text: str) -> str:
    for sign in "\\*_~`|>[]()#-<":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("@", f"@{_ZERO_WIDTH}").replace("://", f":{_ZERO_WIDTH}//")


def _html(text: str) -> str:
    return escape(text, quote=False).replace("@", f"@{_ZERO_WIDTH}")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _held_back(alert: Alert) -> str:
    return f" · {alert.n_suppressed} more not sent" if alert.n_suppressed else ""
