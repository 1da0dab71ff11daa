"""The rules that a spec may name: those of the systems Noria replaces, with their errors mended.

Each takes a `Window` and returns a `RuleFinding`, or None where it has nothing to look at.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from noria.evaluation.decisions import wilson_interval
from noria.evaluation.shares import exact_interval
from noria.monitoring.drift.chi_square import chi_square
from noria.monitoring.drift.ks import kolmogorov_smirnov
from noria.monitoring.drift.mean_shift import mean_shift
from noria.monitoring.profiles import LevelProfile, NumberProfile
from noria.monitoring.reference import Reference
from noria.monitoring.sources import CONFIDENCE, PREDICTION
from noria.monitoring.window import WindowProfile
from noria.records.drift import ColumnFinding, RuleFinding
from noria.spec.model import ProjectSpec
from noria.spec.operations import ThresholdsSection

_COLLAPSED, _USUAL_TOP = 0.98, 0.95  # of the most frequent class: now, and usually
_INTERVAL = 0.99  # of a share: a rule that looks every hour must be sure


@dataclass(frozen=True)
class Window:
    """All that rules may look at."""

    spec: ProjectSpec
    reference: Reference
    current: WindowProfile
    findings: Sequence[ColumnFinding]

    @property
    def thresholds(self) -> ThresholdsSection:
        """Where rules break."""
        return self.spec.monitoring.thresholds


Rule = Callable[[Window], RuleFinding | None]


def text_score(window: Window) -> RuleFinding | None:
    """Add up what has moved: text lengths, predicted classes, new words; broken above a bound.

    The chi-square test has both samples' sizes, lengths are compared in full, and new words are
    the share of rare ones: a vocabulary of a day cannot outgrow that of all training texts.
    """
    alpha, bounds, score = window.spec.monitoring.alpha, window.thresholds, 0.0
    parts: list[str] = []
    lengths, rare = _named(window, ": characters"), _named(window, ": rare")
    if not lengths:
        return None
    if any(kolmogorov_smirnov(*pair).p_value < alpha / len(lengths) for pair in lengths):  # type: ignore[operator]
        score, parts = score + bounds.text_score_lengths, [*parts, "text lengths"]
    classes = _levels(window)
    if classes and chi_square(*classes).p_value < alpha:  # type: ignore[operator]
        score, parts = score + bounds.text_score_classes, [*parts, "predicted classes"]
    if any(now.mean > bounds.text_score_growth * then.mean > 0 for then, now in rare):
        score, parts = score + bounds.text_score_words, [*parts, "new words"]
    what = f" ({', '.join(parts)})" if parts else ""
    is_above = score > bounds.text_score + 1e-9  # sums of tenths are not exact
    text = f"drift score {score:.2g}{what}, above {bounds.text_score:g} is drift"
    return RuleFinding("text_score", "data_drift", is_above, text)


def drifted_share(window: Window) -> RuleFinding | None:
    """Count columns that drifted, corrected for their number; broken above a share of all."""
    columns = {f.column for f in window.findings if not f.column.startswith("(")}
    if not columns:
        return None
    drifted = {f.column for f in window.findings if f.is_drifted} & columns
    share, bounds = len(drifted) / len(columns), window.thresholds
    how, bound = bounds.drifted_share_breaks, bounds.drifted_share
    is_broken = share > bound or (how == "from" and share == bound)
    text = f"{len(drifted)} of {len(columns)} columns drifted, {how} {bound:.3g} of them is drift"
    return RuleFinding("drifted_share", "data_drift", is_broken, text)


def class_share(window: Window) -> RuleFinding | None:
    """Watch each predicted class's share: surely below or above its bounds, and new.

    A share counts with its exact binomial interval (at 13.6 % true share, 21 % of batches of 30
    fall below 10 % by chance), and only for classes that training saw within the bounds.
    """
    classes = _levels(window)
    if classes is None:
        return None
    before, now = classes
    least, most = window.thresholds.class_share_least, window.thresholds.class_share_most
    broken = []
    for place, name in enumerate(before.levels):
        usual = before.counts[place] / before.n
        count = int(now.counts[place])
        interval = exact_interval(count, now.n, _INTERVAL)
        is_rare = interval.high < least <= usual
        is_frequent = interval.low > most >= usual
        if is_rare or is_frequent:
            shown = f"[{interval.low:.1%}, {interval.high:.1%}]"
            broken.append(f"'{name}' {usual:.1%} → {count / now.n:.1%} {shown} of {now.n}")
    text = "; ".join(broken) or f"every class between {least:.0%} and {most:.0%}"
    return RuleFinding("class_share", "class_skew", bool(broken), f"predicted classes: {text}")


def degenerate_decision(window: Window) -> RuleFinding | None:
    """Watch for a decision that collapses: a class is said far more or less often than it was.

    Broken, at once, where a class's share is surely beyond `decision.max_share_ratio` times its
    usual share (or a class of at least half an equal share below that fraction of it), or where
    one class has surely taken over all but 2 % that was not usual. Shares count with their
    Wilson interval at 99 %. None for a regression, and before anything was answered.
    """
    classes = _levels(window)
    if classes is None:
        return None
    before, now = classes
    ratio, broken = window.spec.decision.max_share_ratio, []
    for place, name in enumerate(before.levels):
        usual = wilson_interval(int(before.counts[place]), before.n)
        share = wilson_interval(int(now.counts[place]), now.n)
        is_over = share[0] > ratio * usual[1]
        is_under = usual[0] >= 0.5 / len(before.levels) and share[1] * ratio < usual[0]
        has_all = share[0] > _COLLAPSED > _USUAL_TOP >= usual[1]
        if is_over or is_under or has_all:
            was, is_now = before.counts[place] / before.n, now.counts[place] / now.n
            broken.append(f"'{name}' {was:.1%} → {is_now:.1%} of {now.n}")
    text = "; ".join(broken[:5]) or "no class is said far more or less often than it was"
    return RuleFinding(
        "degenerate_decision", "prediction_drift", bool(broken), f"decisions: {text}", bool(broken)
    )


def shifted_means(window: Window) -> RuleFinding | None:
    """Compare means in standard errors, corrected; broken if one moved surely and by enough."""
    pairs = {
        name: (then, now)
        for name, then in window.reference.profile.columns.items()
        if isinstance(then, NumberProfile)
        and isinstance(now := window.current.columns[name], NumberProfile)
        and then.n > 1
        and now.n > 1
    }
    moved = []
    for name, pair in pairs.items():
        found = mean_shift(*pair)
        p_value = (found.p_value or 0.0) * len(pairs)
        if p_value < window.spec.monitoring.alpha and found.effect > window.thresholds.mean_shift:
            moved.append(f"{name}: {found.detail}")
    text = "; ".join(moved[:5]) or "no mean has moved surely"
    return RuleFinding("mean_shift", "data_drift", bool(moved), text)


def low_confidence(window: Window) -> RuleFinding | None:
    """Count unsure answers: surely above a share, and more than out of fold."""
    profiles = _confidence(window)
    if profiles is None:
        return None
    before, now = profiles
    bound, most = window.thresholds.low_confidence, window.thresholds.low_confidence_share
    count, usual = _below(now, bound), _below(before, bound) / before.n
    interval = exact_interval(count, now.n, _INTERVAL)
    text = (
        f"{count / now.n:.1%} of {now.n} answers below confidence {bound:g} "
        f"[{interval.low:.1%}, {interval.high:.1%}], {usual:.1%} in training, "
        f"above {most:.0%} is too many"
    )
    broken = interval.low > max(most, usual)
    return RuleFinding("low_confidence", "confidence", bool(broken), text)


def mean_confidence(window: Window) -> RuleFinding | None:
    """Watch the mean confidence: surely below a bound, and below what it was out of fold."""
    profiles = _confidence(window)
    if profiles is None:
        return None
    before, now = profiles
    error = now.std / np.sqrt(now.n)
    high = now.mean + 2.576 * error  # 99 %
    text = f"mean confidence {before.mean:.3f} → {now.mean:.3f}, at most {high:.3f}"
    broken = high < min(window.thresholds.mean_confidence, before.mean)
    return RuleFinding("mean_confidence", "confidence", bool(broken), text)


RULES: Mapping[str, Rule] = {
    "text_score": text_score,
    "drifted_share": drifted_share,
    "class_share": class_share,
    "mean_shift": shifted_means,
    "low_confidence": low_confidence,
    "mean_confidence": mean_confidence,
}

OF_INPUTS = frozenset({"drifted_share"})  # rules that look at no answer


def _levels(window: Window) -> tuple[LevelProfile, LevelProfile] | None:
    before = window.reference.profile.columns[PREDICTION]
    now = window.current.columns[PREDICTION]
    if not isinstance(before, LevelProfile) or not isinstance(now, LevelProfile) or not now.n:
        return None
    return before, now


def _confidence(window: Window) -> tuple[NumberProfile, NumberProfile] | None:
    before: Any = window.reference.profile.columns.get(CONFIDENCE)
    now: Any = window.current.columns.get(CONFIDENCE)
    return (before, now) if before is not None and before.n and now.n else None


def _named(window: Window, ending: str) -> list[tuple[Any, Any]]:
    then, now = window.reference.profile.columns, window.current.columns
    return [(then[n], now[n]) for n in then if n.endswith(ending) and then[n].n and now[n].n]


def _below(profile: NumberProfile, bound: float) -> int:
    """Return how many values lie below one of the profile's edges."""
    place = int(np.searchsorted(profile.edges, bound - 1e-9))  # an edge may lie next to its number
    return int(profile.counts[: place + 1].sum())
