"""The promotion gate: an evaluation in, a decision with its reasons out. Fails closed."""

from collections.abc import Iterator

from noria.records.evaluation import Evaluation, GateReason, PromotionDecision
from noria.reporting.words import (
    calibration_text,
    comparison_text,
    decision_text,
    replaced_text,
    slices_text,
)
from noria.spec.model import ProjectSpec


def decide_promotion(spec: ProjectSpec, evaluation: Evaluation) -> PromotionDecision:
    """Return whether the challenger replaces the champion.

    Notes
    -----
    The challenger must pass, in this order: enough test rows; every absolute gate, inclusive; an
    improvement over the trivial baseline whose interval lies above zero; decisions that are worth
    serving; a calibration error within its bound. Failing one refuses it. With a champion it must
    also improve on it by strictly more than `promotion.min_improvement`, with the interval above
    zero: at 243 rows two equally good models pass a bare "0.01 better" rule 17 to 36 % of the
    time. No slice may be clearly worse, and no column new. No comparison, no promotion.
    """
    absolute = _absolute_reasons(spec, evaluation)
    if not all(reason.passed for reason in absolute):
        return PromotionDecision("refuse_challenger", tuple(absolute))
    if evaluation.champion is None:
        first = GateReason("no_champion", True, "the project has no champion yet")
        return PromotionDecision("promote", (*absolute, first))
    relative = _champion_reasons(spec, evaluation)
    wins = all(reason.passed for reason in relative)
    return PromotionDecision("promote" if wins else "keep_champion", (*absolute, *relative))


def _absolute_reasons(spec: ProjectSpec, evaluation: Evaluation) -> list[GateReason]:
    n_test, least = evaluation.n_test, spec.evaluation.min_test_rows
    reasons = [
        GateReason("enough_test_rows", n_test >= least, f"{n_test} test rows, {least} required")
    ]
    for gate in spec.promotion.gates:
        value = evaluation.metrics[gate.metric]
        if gate.min is not None:
            text = f"{gate.metric} {value:.4f}, at least {gate.min:g} required"
            reasons.append(GateReason(f"{gate.metric}_min", value >= gate.min, text))
        if gate.max is not None:
            text = f"{gate.metric} {value:.4f}, at most {gate.max:g} allowed"
            reasons.append(GateReason(f"{gate.metric}_max", value <= gate.max, text))
    baseline = evaluation.against_baseline
    reasons.append(
        GateReason("beats_baseline", baseline.low > 0.0, comparison_text("the baseline", baseline))
    )
    reasons += _served_reasons(spec, evaluation)
    return reasons


def _served_reasons(spec: ProjectSpec, evaluation: Evaluation) -> Iterator[GateReason]:
    """Yield what the default gates find in the classes and probabilities that would be served."""
    off, found = spec.promotion.off, evaluation.calibration
    if evaluation.replaced_decision is not None:
        yield GateReason("decision_replaced", True, replaced_text(evaluation.replaced_decision))
    if evaluation.decision is not None and "decision" not in off:
        is_sound = not evaluation.decision.is_degenerate
        yield GateReason("decision", is_sound, decision_text(evaluation.decision))
    is_calibrated = spec.calibration.method != "none"
    if found is not None and is_calibrated and "calibration" not in off:
        bound = spec.promotion.max_calibration_error
        passed = found.error <= bound + found.by_chance
        if found.champion_error is not None and found.challenger_error is not None:
            passed |= found.challenger_error <= found.champion_error
        yield GateReason("calibration", passed, calibration_text(found, bound))


def gates_in_force(spec: ProjectSpec) -> list[str]:
    """Return what a challenger of a project must pass, one line a gate."""
    promotion, off = spec.promotion, spec.promotion.off
    lines = [f"{g.metric} at least {g.min:g}" for g in promotion.gates if g.min is not None]
    lines += [f"{g.metric} at most {g.max:g}" for g in promotion.gates if g.max is not None]
    lines.append(f"{spec.evaluation.primary_metric} surely better than the baseline")
    if spec.project.task == "classification" and "decision" not in off:
        lines.append("decisions not degenerate, not worse than always the commonest class")
    if spec.project.task == "classification" and spec.calibration.method != "none":
        bound = f"calibration error at most {promotion.max_calibration_error:g} beyond chance"
        lines += [] if "calibration" in off else [bound]
    needed = f"more than {promotion.min_improvement:g} and surely better than the champion"
    lines.append(f"{spec.evaluation.primary_metric} {needed}")
    if spec.evaluation.slices and "slices" not in off:
        lines.append("no slice clearly worse than the champion")
    if "columns" not in off:
        lines.append("no column that the champion does not read")
    return lines


def _champion_reasons(spec: ProjectSpec, evaluation: Evaluation) -> list[GateReason]:
    comparison, least = evaluation.against_champion, spec.evaluation.min_test_rows
    if comparison is None:
        if fault := evaluation.champion_fault:
            return [GateReason("comparable", False, f"the champion cannot be compared: {fault}")]
        text = (
            f"insufficient data: {evaluation.n_unseen} test rows that the champion has not "
            f"trained on, {least} required"
        )
        return [GateReason("comparable", False, text)]
    is_primary = comparison.metric == spec.evaluation.primary_metric
    needed = spec.promotion.min_improvement if is_primary else 0.0
    gained = comparison.improvement
    reasons = [
        GateReason(
            "improves_enough",
            gained > needed,
            f"improvement {gained:+.4f}, more than {needed:g} required",
        ),
        GateReason(
            "improves_surely", comparison.low > 0.0, comparison_text("the champion", comparison)
        ),
    ]
    if (primary := evaluation.primary_against_champion) is not None:
        text = f"{primary.metric} not clearly worse: {comparison_text('the champion', primary)}"
        reasons.append(GateReason("primary_holds", primary.high >= 0.0, text))
    off, slices = spec.promotion.off, evaluation.slices_against_champion
    if slices and "slices" not in off:
        worse = [part for part in slices if part.high < 0.0]
        reasons.append(GateReason("slices", not worse, slices_text(len(slices), worse)))
    if "columns" not in off:
        new = evaluation.new_columns
        text = (
            f"reads {', '.join(new[:10])}, which requests to the champion may lack: send them "
            "first, then promote by hand, or switch the gate off (promotion.off)"
        )
        reasons += [GateReason("columns", False, text)] if new else []
    return reasons
