"""Tables and lines for people."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from noria.records.alias import HistoryEntry

console = Console(highlight=False, soft_wrap=True)
error_console = Console(stderr=True, highlight=False, soft_wrap=True)

_WHOLE = ("model version", "champion", "id", "at", "operation")  # are copied, or short
_GOOD = {
    "ChallengerPromoted": "green",
    "ChampionKept": "yellow",
    "BatchCompleted": "green",
    "BatchHeld": "yellow",
}


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table of plain text; nothing in it is read as markup."""
    made = Table(title=title, title_justify="left")
    for column in columns:
        # Versions are there to be copied, whole.
        made.add_column(column, overflow="fold", no_wrap=column in _WHOLE)
    for row in rows:
        made.add_row(*(escape("-" if cell is None else str(cell)) for cell in row))
    return made


def outcome_line(output: Mapping[str, Any]) -> str:
    """Return an outcome with its reasons, coloured."""
    colour = _GOOD.get(output["outcome"], "red")
    return f"[bold {colour}]{output['outcome']}[/]: {escape(str(output['summary']))}"


def explanation_table(explanation: Mapping[str, Any]) -> Table:
    """Return what the features added to a score, and that it adds up."""
    rows = [("(a typical row)", "", f"{explanation['base']:+.4f}")]
    rows += [
        (part["feature"], part["value"], f"{part['contribution']:+.4f}")
        for part in explanation["contributions"]
    ]
    rows += [("(all others)", "", f"{explanation['rest']:+.4f}")]
    rows += [("= score", "", f"{explanation['score']:+.4f}")]
    title = f"Why {explanation['of']}: {explanation['scale']}, {explanation['method']}"
    return table(title, ("feature", "value", "adds"), rows)


def history_table(project: str, entries: Iterable[HistoryEntry]) -> Table:
    """Return the promotions of a project."""
    rows = [
        (e.revision, e.at[:16], e.kind, e.model_version, None if e.kind == "training" else e.actor)
        for e in entries
    ]
    return table(
        f"Promotions of {project}, newest first",
        ("#", "at (UTC)", "kind", "model version", "by"),
        rows,
    )


def alerts_line(addresses: Mapping[str, bool]) -> str:
    """Return whom alerts and alarms reach by e-mail, loudly where that is nobody."""
    confirmed = [address for address, is_confirmed in addresses.items() if is_confirmed]
    waiting = [address for address, is_confirmed in addresses.items() if not is_confirmed]
    told = []
    if waiting:
        told.append(f"[bold red]not confirmed:[/] {escape(', '.join(waiting))}; "
                    "open the message that AWS sent there and confirm it")  # fmt: skip
    if confirmed:
        told.insert(0, f"alerts go to {escape(', '.join(confirmed))}")
    elif not waiting:
        told.append("[bold red]alerts reach nobody by e-mail[/]: deploy with "
                    "-c noria:alert_email=ADDRESS")  # fmt: skip
    return "; ".join(told)


def show_state(state: str, what: str, seconds: float, indent: str = "  ") -> None:
    """Print a state of a run that has ended, or how far one is that takes long."""
    if what != "started":
        far = "" if what == "finished" else f"  {what} …"
        console.print(f"{indent}{state:<22}{seconds:7.1f} s{far}", highlight=False)
