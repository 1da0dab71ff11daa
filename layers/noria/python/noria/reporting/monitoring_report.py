"""The report of a monitoring check: what was, what is, how sure, and what was decided."""

import base64
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from noria.reporting import pictures

_MAX_DRAWN = 12  # columns, the most moved first


def render(document: Mapping[str, Any]) -> bytes:
    """Return the check as one HTML file: no script, no network, ready to print.

    Parameters
    ----------
    document : mapping
        `drift`, `performance` and `retraining`: what the check's steps wrote; `history`: earlier
        checks, oldest first.
    """
    text = files("noria.reporting").joinpath("templates/monitoring.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["number"] = lambda v: "–" if v is None else f"{v:,.4g}"
    environment.filters["percent"] = lambda v: f"{v:.1%}"
    drawn = {name: _image(svg) for name, svg in _pictures(document)}
    return environment.from_string(text).render(d=document, pictures=drawn).encode()


def most_moved(drift: Mapping[str, Any]) -> list[str]:
    """Return the columns to show: confirmed first, then by how surely they moved."""
    confirmed = [finding["name"] for finding in drift["confirmed"]]
    findings = sorted(
        drift["windows"]["long"]["findings"],
        key=lambda f: (not f["is_drifted"], 2.0 if f["p_adjusted"] is None else f["p_adjusted"]),
    )
    ordered = [*confirmed, *(finding["column"] for finding in findings)]
    known = [name for name in dict.fromkeys(ordered) if name in drift["columns"]]
    return [n for n in known if drift["columns"][n]["now"]["n"]][:_MAX_DRAWN]


def _pictures(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    drift = document["drift"]
    names = most_moved(drift)
    if names:
        yield "columns", pictures.then_and_now({name: drift["columns"][name] for name in names})
    shown = {
        kind: found[document["performance"]["primary_metric"]]
        for kind in ("realised", "estimated")
        if (found := document["performance"][kind])
        and document["performance"]["primary_metric"] in found
    }
    if shown:
        yield "performance", pictures.performance(shown)
    if len(document["history"]) > 1:
        yield "history", pictures.score_history(document["history"])


def _image(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
