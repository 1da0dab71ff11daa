"""The reports' pictures, by matplotlib, as SVG text."""

from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from noria.records.check import CheckSummary
from noria.records.drift import ThenAndNow
from noria.records.evaluation import Comparison
from noria.records.performance import Performance
from noria.records.report import FeatureSwarm, ReliabilityBin
from noria.records.training import CandidateResult

INK, LINE, ACCENT, MUTED = "#1b2733", "#c9d3dc", "#0b6e99", "#8fa3b3"
_WIDTH = 7.6  # inches: a column of the report
_LONGEST_LABEL = 34  # characters

mpl.rcParams.update(
    {
        "svg.fonttype": "path",  # letters look the same wherever the file is opened
        "svg.hashsalt": "noria",  # equal data, equal bytes
        "text.parse_math": False,  # a class named "$0_$50k" is no formula
        "font.size": 9,
        "axes.edgecolor": LINE,
        "axes.labelcolor": INK,
        "axes.titlesize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
)


def _drawn(height: float, draw: Callable[[Axes], None], *, width: float = _WIDTH) -> str:
    figure = Figure(figsize=(width, height), layout="constrained")
    draw(figure.add_subplot())
    return _svg(figure)


def _svg(figure: Figure) -> str:
    FigureCanvasSVG(figure)
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def short(label: Any) -> str:
    """Return a label that fits beside a bar."""
    text = str(label)
    return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…"


def candidates(results: Sequence[CandidateResult], metric: str, chosen: str) -> str:
    """Draw each candidate's folds as dots and their mean as a bar mark."""

    def draw(axes: Axes) -> None:
        for place, result in enumerate(reversed(results)):
            colour = ACCENT if result.candidate == chosen else MUTED
            axes.plot(result.cv_scores, [place] * len(result.cv_scores), "o",
                      color=colour, alpha=0.45, markersize=5)  # fmt: skip
            axes.plot([result.cv_mean], [place], "|", color=colour, markersize=16, mew=3)
        axes.set_yticks(range(len(results)), [short(r.candidate) for r in reversed(results)])
        axes.set_ylim(-0.7, len(results) - 0.3)
        axes.set_xlabel(f"{metric}: dots are folds, marks their mean")
        axes.grid(axis="x", color=LINE, linewidth=0.6)

    return _drawn(0.9 + 0.3 * len(results), draw)


def improvement(comparisons: Mapping[str, Comparison]) -> str:
    """Draw the improvement over each other model with its interval; right of zero is better."""

    def draw(axes: Axes) -> None:
        axes.axvline(0.0, color=INK, linewidth=1)
        for place, comparison in enumerate(comparisons.values()):
            axes.plot([comparison.low, comparison.high], [place] * 2, "-", color=ACCENT, lw=3)
            axes.plot([comparison.improvement], [place], "o", color=ACCENT, markersize=8)
        axes.set_yticks(range(len(comparisons)), [f"over {name}" for name in comparisons])
        axes.set_ylim(-0.6, len(comparisons) - 0.4)
        metric = next(iter(comparisons.values())).metric
        axes.set_xlabel(f"improvement in {metric}; right of zero the challenger is better")

    return _drawn(0.9 + 0.4 * len(comparisons), draw)


def confusion(counts: Any, classes: Sequence[str]) -> str:
    """Draw the confusion matrix, coloured by the share of each true class."""
    table = np.asarray(counts, dtype=np.float64)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    n, labels = len(classes), [short(name) for name in classes]

    def draw(axes: Axes) -> None:
        axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
        for i in range(n):
            for j in range(n):
                colour = "white" if shares[i, j] > 0.55 else INK
                axes.text(j, i, f"{int(table[i, j])}", ha="center", va="center", color=colour,
                          fontsize=9 if n <= 12 else 6)  # fmt: skip
        rotation = 0 if max(map(len, labels)) <= 6 and n <= 10 else 45
        axes.set_xticks(range(n), labels, rotation=rotation, ha="right" if rotation else "center")
        axes.set_yticks(range(n), labels)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.spines[:].set_visible(False)

    side = min(_WIDTH, 2.4 + 0.42 * n)
    return _drawn(side, draw, width=min(_WIDTH, side + 0.8))


def reliability(bins: Sequence[ReliabilityBin]) -> str:
    """Draw how often the model is right against how sure it is; the dots' size is the rows."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], "--", color=MUTED, linewidth=1)
        sizes = np.array([b.n_rows for b in bins], dtype=np.float64)
        axes.scatter([b.confidence for b in bins], [b.hit_fraction for b in bins],
                     s=30 + 220 * sizes / sizes.max(), color=ACCENT, alpha=0.75)  # fmt: skip
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel("confidence")
        axes.set_ylabel("share that was right")
        axes.grid(color=LINE, linewidth=0.6)

    return _drawn(3.4, draw, width=4.2)


def residuals(truth: Any, predicted: Any, target: str) -> str:
    """Draw predicted against true values, residuals against predicted, and their distribution."""
    figure = Figure(figsize=(_WIDTH, 2.7), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    errors = np.asarray(predicted) - np.asarray(truth)
    ends = [min(np.min(truth), np.min(predicted)), max(np.max(truth), np.max(predicted))]
    left.plot(ends, ends, "--", color=MUTED, linewidth=1)
    left.plot(truth, predicted, "o", color=ACCENT, alpha=0.5, markersize=3)
    left.set(xlabel=f"true {target}", ylabel="predicted")
    middle.axhline(0.0, color=MUTED, linestyle="--", linewidth=1)
    middle.plot(predicted, errors, "o", color=ACCENT, alpha=0.5, markersize=3)
    middle.set(xlabel="predicted", ylabel="predicted - true")
    right.hist(errors, bins=20, histtype="stepfilled", color=ACCENT, alpha=0.8)
    right.set(xlabel="predicted - true", ylabel="rows")
    return _svg(figure)


def bars(values: Mapping[str, float], label: str) -> str:
    """Draw named values as horizontal bars, the first on top."""

    def draw(axes: Axes) -> None:
        names = list(values)[::-1]
        axes.barh(range(len(names)), [values[name] for name in names], color=ACCENT, height=0.65)
        axes.set_yticks(range(len(names)), [short(name) for name in names])
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlabel(label)
        axes.grid(axis="x", color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)

    return _drawn(0.8 + 0.24 * len(values), draw)


def swarms(found: Sequence[FeatureSwarm], label: str) -> str:
    """Draw what features add to single rows, a dot a row: dark where the value is high."""

    def draw(axes: Axes) -> None:
        for place, swarm in enumerate(reversed(found)):
            values, size = np.array(swarm.values), np.array(swarm.contributions)
            ranks = np.searchsorted(np.sort(values), values) / max(len(values) - 1, 1)
            axes.scatter(
                size, place + _spread(size), c=ranks, cmap="cividis_r", s=7, vmin=0.0, vmax=1.0,
                linewidths=0,
            )  # fmt: skip
        axes.set_yticks(range(len(found)), [short(swarm.feature) for swarm in reversed(found)])
        axes.axvline(0.0, color=MUTED, linewidth=0.8)
        axes.set_xlabel(label)
        axes.grid(axis="x", color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)

    return _drawn(0.9 + 0.36 * len(found), draw)


def _spread(values: Any) -> Any:
    """Return how far each dot of a row steps aside so that equal ones do not hide each other."""
    bins = np.histogram_bin_edges(values, 60)
    places = np.digitize(values, bins)
    aside = np.zeros(len(values))
    for number in np.unique(places):
        rows = np.flatnonzero(places == number)
        steps = (np.arange(len(rows)) + 1) // 2 * np.where(np.arange(len(rows)) % 2, 1, -1)
        aside[rows] = steps * min(0.05, 0.8 / max(len(rows), 1))
    return aside


def shares(counts: Sequence[int], label: str) -> str:
    """Draw a histogram over [0, 1] in bins of equal width."""

    def draw(axes: Axes) -> None:
        width = 1.0 / len(counts)
        axes.bar(
            [width * (i + 0.5) for i in range(len(counts))], counts, width * 0.92, color=ACCENT
        )
        axes.set(xlabel=label, ylabel="rows", xlim=(0.0, 1.0))
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)

    return _drawn(2.6, draw)


def quantile_curve(quantiles: Sequence[float], label: str) -> str:
    """Draw the middles of equal shares of the rows, ascending."""

    def draw(axes: Axes) -> None:
        places = [(i + 0.5) / len(quantiles) for i in range(len(quantiles))]
        axes.plot(places, quantiles, color=ACCENT)
        axes.set(xlabel="share of the rows", ylabel=label, xlim=(0.0, 1.0))
        axes.grid(color=LINE, linewidth=0.6)

    return _drawn(2.6, draw)


def distributions(columns: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw one small histogram a column: numbers, lengths of texts, shares of levels."""
    n_columns = 4
    n_rows = -(-len(columns) // n_columns)
    figure = Figure(figsize=(_WIDTH, 1.55 * n_rows), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes in grid.flat[len(columns) :]:
        axes.set_visible(False)
    for axes, (name, column) in zip(grid.flat, columns.items(), strict=False):
        numbers = column if "histogram" in column else column.get("characters")
        axes.set_title(short(name)[:24], fontsize=8)
        axes.tick_params(labelsize=6)
        axes.yaxis.set_visible(False)
        axes.spines["left"].set_visible(False)
        if numbers is not None:
            edges = np.array(numbers["histogram"]["edges"])
            axes.stairs(numbers["histogram"]["counts"], edges, fill=True, color=ACCENT)
            axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(3))
        else:
            levels = dict(list(column["levels"].items())[:6])
            axes.bar(range(len(levels)), levels.values(), color=ACCENT)
            names = [short(level)[:7] for level in levels]
            rotation = 35 if max(map(len, names)) > 3 else 0
            axes.set_xticks(range(len(names)), names, rotation=rotation)
    return _svg(figure)


def correlations(names: Sequence[str], matrix: Any) -> str:
    """Draw Pearson's r of every pair of numbers."""
    n, labels = len(names), [short(name)[:20] for name in names]

    def draw(axes: Axes) -> None:
        shown = axes.imshow(np.asarray(matrix), cmap="RdBu_r", vmin=-1.0, vmax=1.0)
        axes.set_xticks(range(n), labels, rotation=60, ha="right", fontsize=7)
        axes.set_yticks(range(n), labels, fontsize=7)
        axes.spines[:].set_visible(False)
        axes.figure.colorbar(shown, ax=axes, shrink=0.7, label="r")

    side = min(_WIDTH - 1.0, 2.2 + 0.26 * n)
    return _drawn(side, draw, width=min(_WIDTH, side + 1.0))


def then_and_now(columns: Mapping[str, ThenAndNow]) -> str:
    """Draw each column's shares in training (grey) and in the window (blue), side by side."""
    n_columns = 3
    n_rows = -(-len(columns) // n_columns)
    figure = Figure(figsize=(_WIDTH, 1.9 * n_rows), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes in grid.flat[len(columns) :]:
        axes.set_visible(False)
    for axes, (name, column) in zip(grid.flat, columns.items(), strict=False):
        axes.set_title(short(name), fontsize=8)
        axes.tick_params(labelsize=6)
        axes.yaxis.set_visible(False)
        axes.spines["left"].set_visible(False)
        if column.then.levels is not None:
            _draw_levels(axes, column)
        else:
            _draw_numbers(axes, column)
    return _svg(figure)


def _draw_levels(axes: Axes, column: ThenAndNow) -> None:
    """Draw the levels whose shares changed most."""
    shares = [
        {name: count / max(side.n, 1) for name, count in (side.levels or {}).items()}
        for side in (column.then, column.now)
    ]
    names = sorted(shares[0], key=lambda n: -abs(shares[0][n] - shares[1][n]))[:5]
    for place, name in enumerate(names):
        axes.bar(place - 0.2, shares[0][name], width=0.38, color=MUTED)
        axes.bar(place + 0.2, shares[1][name], width=0.38, color=ACCENT)
    axes.set_xticks(range(len(names)), [short(name)[:9] for name in names], rotation=30, ha="right")


def _draw_numbers(axes: Axes, column: ThenAndNow) -> None:
    """Draw two densities over the bulk of the reference."""
    edges = np.asarray(column.then.edges)
    low, high = edges[0], edges[-1]
    if high <= low:
        high = low + 1.0
    bins = np.linspace(low, high, 25)
    middles = np.concatenate([edges[:1], (edges[:-1] + edges[1:]) / 2.0, edges[-1:]])
    for side, colour, alpha in ((column.then, MUTED, 0.75), (column.now, ACCENT, 0.6)):
        counts = np.asarray(side.counts, dtype=np.float64)
        weights = counts / max(counts.sum(), 1.0)
        shares, _ = np.histogram(np.clip(middles, low, high), bins, weights=weights)
        axes.stairs(shares, bins, fill=True, color=colour, alpha=alpha)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4))


def performance(found: Mapping[str, Performance]) -> str:
    """Draw each performance with its interval beside what it was in training."""

    def draw(axes: Axes) -> None:
        for place, (kind, value) in enumerate(found.items()):
            axes.plot([value.low, value.high], [place] * 2, "-", color=ACCENT, lw=3)
            axes.plot([value.value], [place], "o", color=ACCENT, markersize=8)
            axes.plot([value.reference], [place], "|", color=INK, markersize=22, mew=2)
            axes.annotate(f"n = {value.n_rows}", (value.value, place + 0.18), fontsize=8,
                          ha="center", color=INK)  # fmt: skip
            axes.text(-0.02, place, kind, transform=axes.get_yaxis_transform(), ha="right",
                      va="center")  # fmt: skip
        metric = next(iter(found.values())).metric
        axes.set_yticks([])
        axes.set_ylim(-0.6, len(found) - 0.4)
        axes.set_xlabel(f"{metric}: dot and interval now, bar before")

    return _drawn(1.1 + 0.5 * len(found), draw)


def score_history(checks: Sequence[CheckSummary]) -> str:
    """Draw the primary metric over the checks: estimated as a line, measured as dots."""

    def draw(axes: Axes) -> None:
        for kind, style in (("estimated", "-"), ("realised", "o")):
            known = [
                (n, found)
                for n, check in enumerate(checks)
                if (found := check.estimated if kind == "estimated" else check.realised)
            ]
            if not known:
                continue
            places = [n for n, _ in known]
            colour = MUTED if kind == "estimated" else ACCENT
            axes.plot(places, [v.value for _, v in known], style, color=colour, label=kind)
            axes.fill_between(places, [v.low for _, v in known], [v.high for _, v in known],
                              color=colour, alpha=0.2, linewidth=0)  # fmt: skip
        drifting = [n for n, check in enumerate(checks) if check.verdict == "drift"]
        for place in drifting:
            axes.axvspan(place - 0.5, place + 0.5, color="#c2410c", alpha=0.12, linewidth=0)
        axes.set_xticks(*_ticks([check.at[:16] for check in checks]), fontsize=7)
        axes.set_ylabel("primary metric")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, frameon=False)

    return _drawn(2.6, draw)


def _ticks(labels: Sequence[str], most: int = 6) -> tuple[list[int], list[str]]:
    step = -(-len(labels) // most)
    places = list(range(0, len(labels), step))
    return places, [labels[place] for place in places]


def timeline(
    scores: Sequence[tuple[float, float]],
    events: Sequence[tuple[float, str, str]],
    metric: str,
    drift_day: float,
) -> str:
    """Draw the true score of each day and what the loop did, over the days."""
    colours = {"drift": "#c2410c", "retraining": ACCENT, "promoted": "#17683a"}

    def draw(axes: Axes) -> None:
        axes.plot([day for day, _ in scores], [score for _, score in scores], "o-", color=INK,
                  markersize=4, lw=1)  # fmt: skip
        axes.axvspan(drift_day, max(day for day, _ in scores) + 0.5, color=MUTED, alpha=0.2, lw=0)
        for what, colour in colours.items():
            for number, (day, _, _) in enumerate(e for e in events if e[1] == what):
                axes.axvline(day, color=colour, lw=1.5, label=what if not number else None)
        axes.set(xlabel="day (grey: the world has changed)", ylabel=metric)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, frameon=False)

    return _drawn(3.0, draw)
