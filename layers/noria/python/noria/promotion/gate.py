"""The promotion gate: an evaluation in, a decision with its reasons out. Fails closed."""

from noria.records.evaluation import Evaluation, GateReason, PromotionDecision
from noria.reporting.words import comparison_text
from noria.spec.model import ProjectSpec


def decide_promotion(spec: ProjectSpec, evaluation: Evaluation) -> PromotionDecision:
    """Return whether the challenger replaces the champion.

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
    return reasons


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
    needed = spec.promotion.min_improvement
    gained = comparison.improvement
    return [
        GateReason(
            "improves_enough",
            gained > needed,
            f"improvement {gained:+.4f}, more than {needed:g} required",
        ),
        GateReason(
            "improves_surely", comparison.low > 0.0, comparison_text("the champion", comparison)
        ),
    ]
