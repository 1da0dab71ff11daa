"""`noria cost`: dollars a month from the templates, metered work and a dated list of prices."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from cli.display import console, table
from cli.shared import Json, show, told

_CENT = 0.005


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(cost)


class _Bills(NamedTuple):
    """One deployment, unused and used."""

    idle: Any
    used: Any


def cost(
    predictions: Annotated[float, typer.Option(help="Predictions a month.", min=0)] = 1_000_000,
    batch_rows: Annotated[float, typer.Option(help="Rows of files a month.", min=0)] = 0,
    trainings: Annotated[float, typer.Option(help="Trainings a month.", min=0)] = 4,
    traffic: Annotated[
        Path | None,
        typer.Option(
            help="A JSON file with these and more: labels, busy_projects, keys, stored_gb."
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="A commit, branch or tag: show what has changed since.", metavar="REF"),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(help="A key of the CDK context, as noria:size=medium; repeat for several."),
    ] = None,
    region: Annotated[str, typer.Option(help="Whose prices.")] = "us-east-1",
    as_json: Json = False,
) -> None:
    """Show what this checkout costs a month on AWS, line by line: unused, and with traffic.

    The app is synthesized for it; no account is needed. Prices are list prices of a dated file
    under prices/. Work is what `make bench-cost` metered, scaled by each function's memory. Two
    sums: one where what AWS gives free each month is spent elsewhere, one where it is not.
    """
    from cli.costing.bill import Traffic, always_on, bill, read_traffic
    from cli.costing.prices import read_prices
    from cli.costing.stacks import of_ref, synthesized
    from cli.costing.work import read_work

    with told():
        asked = Traffic(predictions=predictions, batch_rows=batch_rows, trainings=trainings)
        asked = read_traffic(traffic) if traffic else asked
        idle = Traffic(stored_gb=asked.stored_gb)
        prices, metered, settings = read_prices(region), read_work(), _settings(setting or ())

        def bills(deployed: Any) -> _Bills:
            return _Bills(
                bill(deployed, idle, metered, prices), bill(deployed, asked, metered, prices)
            )

        now = bills(synthesized(settings=settings))
        before = bills(of_ref(against, settings)) if against else None
        others = always_on(prices)
        data: dict[str, Any] = {
            "region": prices.region,
            "prices_of": prices.read_on,
            "work_of": metered.commit,
            "traffic": asdict(asked),
            "idle": asdict(now.idle),
            "used": asdict(now.used),
            "always_on": {name: {"runs": runs, "usd": usd} for name, (runs, usd) in others.items()},
        }
        if before:
            data["before"] = {
                "ref": against,
                "idle": asdict(before.idle),
                "used": asdict(before.used),
            }
        show(as_json, data, lambda: _shown(now, before, against))
        if not as_json:
            _print_sums(now, before, against)
            for name, (runs, usd) in others.items():
                console.print(f"always on, {name}: {usd:.0f} dollars ({runs})", markup=False)
            console.print(
                f"list prices of {prices.region} as of {prices.read_on}: hold them against AWS's "
                f"before you rely on them; work as metered at {metered.commit}",
                markup=False,
            )


def _settings(given: Iterable[str]) -> dict[str, str]:
    settings = {}
    for text in given:
        name, found, value = text.partition("=")
        if not found or not name.startswith("noria:"):
            raise ValueError(f"--setting {text}: must be noria:KEY=VALUE")
        settings[name] = value
    return settings


def _shown(now: _Bills, before: _Bills | None, ref: str | None) -> Any:
    """Return the lines as a table: the dearest with traffic first."""
    bills = [bill for pair in (now, before) if pair for bill in pair]
    by_type = [{(line.service, line.usage_type): line for line in bill.lines} for bill in bills]
    names = dict.fromkeys(name for lines in (by_type[1], *by_type) for name in lines)
    rows = []
    for name in names:
        found = [lines.get(name) for lines in by_type]
        if not any(line and line.usd >= _CENT for line in found):
            continue
        line = found[1] or next(line for line in found if line)
        cells = ["-" if line is None else f"{line.usd:.2f}" for line in found]
        much = f"{line.quantity:,.0f}" if line.quantity >= 10 else f"{line.quantity:.2g}"
        because = ", ".join(line.because[:2])
        rows.append((f"{line.service}: {line.what}", *cells, much, because))
    titles = ["idle", "used"] + ([f"idle, {ref}", f"used, {ref}"] if before else [])
    columns = ["what", *titles, "units", "for"]
    return table(
        "Dollars a month, list prices; lines below half a cent are left out", columns, rows
    )


def _print_sums(now: _Bills, before: _Bills | None, ref: str | None) -> None:
    for what, here, there in zip(("idle", "used"), now, before or (None, None), strict=True):
        text = (
            f"{what}: {here.usd:.2f} dollars a month; {here.usd_with_free:.2f} where what AWS gives "
            "free each month is not spent elsewhere"
        )
        if there is not None:
            text += (
                f"; at {ref} {there.usd:.2f} and {there.usd_with_free:.2f}: "
                f"{here.usd - there.usd:+.2f} and {here.usd_with_free - there.usd_with_free:+.2f}"
            )
        console.print(text, markup=False)
