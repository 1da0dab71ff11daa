"""The promotion gate: evidence in, a decision with its reasons out. Pure, and fail-closed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from noria.spec.model import ProjectSpec

Outcome = Literal["promote", "keep_champion", "refuse_challenger"]


@dataclass(frozen=True)
class Reason:
    """One rule of the gate and what it found."""

    code: str
    passed: bool
    text: str


@dataclass(frozen=True)
class PromotionDecision:
    """What becomes of a challenger."""

    outcome: Outcome
    reasons: tuple[Reason, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the decision as JSON data."""
        return asdict(self)

    def summary(self) -> str:
        """Return the reasons that decided, in one line."""
        codes = {r.code for r in self.reasons if r.passed == (self.outcome == "promote")}
        # The interval belongs to every comparison, whichever rule decided.
        shown = [r.text for r in self.reasons if r.code in codes | {"improves_surely"}]
        return "; ".join(shown)


def decide_promotion(spec: ProjectSpec, evaluation: Mapping[str, Any]) -> PromotionDecision:
    """Return whether the challenger replaces the champion.

    Parameters
    ----------
    spec : ProjectSpec
    evaluation : mapping
        `metrics` (challenger, on the test rows), `n_test`, `against_baseline` (Comparison data),
        `against_champion` (Comparison data or None), `champion` (version or None), `n_unseen`
        (test rows the champion did not train on).

    Notes
    -----
    The challenger must pass, in this order: enough test rows; every absolute gate, inclusive; an
    improvement over the trivial baseline whose interval lies above zero. Failing one refuses it.
    With a champion it must also improve on it by strictly more than
    `promotion.min_improvement`, with the interval above zero: at 243 rows two equally good
    models pass a bare "0.01 better" rule 17 to 36 % of the time. No comparison, no promotion.
    """
    absolute = _absolute_reasons(spec, evaluation)
    if not all(reason.passed for reason in absolute):
        return PromotionDecision("refuse_challenger", tuple(absolute))
    if evaluation["champion"] is None:
        first = Reason("no_champion", True, "the project has no champion yet")
        return PromotionDecision("promote", (*absolute, first))
    relative = _champion_reasons(spec, evaluation)
    wins = all(reason.passed for reason in relative)
    return PromotionDecision("promote" if wins else "keep_champion", (*absolute, *relative))


def _absolute_reasons(spec: ProjectSpec, evaluation: Mapping[str, Any]) -> list[Reason]:
    n_test, least = evaluation["n_test"], spec.evaluation.min_test_rows
    reasons = [Reason("enough_test_rows", n_test >= least, f"{n_test} test rows, {least} required")]
    for gate in spec.promotion.gates:
        value = evaluation["metrics"][gate.metric]
        if gate.min is not None:
            text = f"{gate.metric} {value:.4f}, at least {gate.min:g} required"
            reasons.append(Reason(f"{gate.metric}_min", value >= gate.min, text))
        if gate.max is not None:
            text = f"{gate.metric} {value:.4f}, at most {gate.max:g} allowed"
            reasons.append(Reason(f"{gate.metric}_max", value <= gate.max, text))
    baseline = evaluation["against_baseline"]
    reasons.append(
        Reason("beats_baseline", baseline["low"] > 0.0, _interval("the baseline", baseline))
    )
    return reasons


def _champion_reasons(spec: ProjectSpec, evaluation: Mapping[str, Any]) -> list[Reason]:
    comparison, least = evaluation["against_champion"], spec.evaluation.min_test_rows
    if comparison is None:
        if fault := evaluation["champion_fault"]:
            return [Reason("comparable", False, f"the champion cannot be compared: {fault}")]
        text = (
            f"insufficient data: {evaluation['n_unseen']} test rows that the champion has not "
            f"trained on, {least} required"
        )
        return [Reason("comparable", False, text)]
    needed = spec.promotion.min_improvement
    gained = comparison["improvement"]
    return [
        Reason(
            "improves_enough",
            gained > needed,
            f"improvement {gained:+.4f}, more than {needed:g} required",
        ),
        Reason("improves_surely", comparison["low"] > 0.0, _interval("the champion", comparison)),
    ]


def _interval(other: str, comparison: Mapping[str, Any]) -> str:
    return (
        f"{comparison['metric']} {comparison['challenger']:.4f} against {comparison['other']:.4f} "
        f"of {other}: {comparison['confidence']:.0%} interval of the improvement "
        f"[{comparison['low']:+.4f}, {comparison['high']:+.4f}] on {comparison['n_rows']} rows"
    )
