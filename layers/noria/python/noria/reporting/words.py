"""Findings in words, for reports, alerts, the API and the command line. Standard library only."""

from collections.abc import Sequence

from noria.records.check import CheckReport
from noria.records.dataset import ValidationReport
from noria.records.drift import DriftReport, HeldFinding
from noria.records.evaluation import (
    CalibrationCheck,
    Comparison,
    DecisionCheck,
    SliceComparison,
)
from noria.records.performance import Performance, PerformanceReport
from noria.records.probation import Probation
from noria.records.training import Selection

_ENDS = {
    "TIMED_OUT": "it took longer than its state machine allows",
    "ABORTED": "it was stopped before its end",
}


def ended_text(run: str, status: str, error: str | None, cause: str | None) -> str:
    """Return in one line how a run ended that did not succeed.

    Parameters
    ----------
    status : str
        "FAILED", "TIMED_OUT" or "ABORTED", as executions have it.
    """
    said = (_ENDS.get(status), error, cause)
    return ": ".join((run, *(part for part in said if part)))


_OUT_OF_MEMORY = "its process died, most likely because it needed more memory than it has"
_OUT_OF_TIME = "it took longer than a candidate may"
_CANDIDATE_ERRORS = {
    "TrainingFailedError": "it cannot be fitted on these rows",
    "MemoryError": _OUT_OF_MEMORY,
    "_ArrayMemoryError": _OUT_OF_MEMORY,
    "Runtime.ExitError": _OUT_OF_MEMORY,
    "Runtime.OutOfMemory": _OUT_OF_MEMORY,
    "Sandbox.Timedout": _OUT_OF_TIME,
    "States.Timeout": _OUT_OF_TIME,
}


def failed_candidates_text(selection: Selection) -> str:
    """Return which candidates of a run could not be fitted, with what is known of the reason."""

    def reason(name: str) -> str:
        error = selection.errors.get(name)
        return f" ({_CANDIDATE_ERRORS.get(error, error)})" if error else ""

    return "; ".join(f"{name}{reason(name)}" for name in selection.failed)


def finding_text(finding: HeldFinding) -> str:
    """Return a confirmed finding in one line: what moved, and by how much."""
    if finding.column is not None:
        return f"{finding.name}: {change_text(finding)}"
    return change_text(finding)


def change_text(finding: HeldFinding) -> str:
    """Return what a finding says, without the column's name."""
    if finding.column is not None:
        column = finding.column
        how = f"{column.statistic} {column.effect:.3f}"
        return f"{column.detail or column.statistic} ({how})"
    return finding.rule.text if finding.rule is not None else finding.name


def suspicion_text(finding: HeldFinding, n_needed: int) -> str:
    """Return a suspicion in one line: what may have moved, how often it held, what confirms it."""
    left = max(n_needed - finding.n_windows, 1)
    more = "one more with enough new rows confirms" if left == 1 else f"{left} more confirm"
    return (
        f"{finding_text(finding)}: window {finding.n_windows} of {n_needed} since "
        f"{finding.since[:16]}; {more} it"
    )


# What people call what is no column of theirs.
_NAMES = {
    "(prediction)": "the predictions",
    "(confidence)": "the confidence",
    "(positive)": "the probability of the positive class",
    "degenerate_decision": "a collapse of the decisions",
}


def _named(findings: Sequence[HeldFinding]) -> str:
    """Return what findings are about: the inputs first, three by name."""
    return _three([finding.name for finding in findings])


def _three(names: Sequence[str]) -> str:
    ordered = [_NAMES.get(name, name) for name in sorted(names, key=lambda name: name in _NAMES)]
    return ", ".join(ordered[:3]) + (f" and {len(ordered) - 3} more" if len(ordered) > 3 else "")


def differs_text(names: Sequence[str]) -> str:
    """Return in a line that rows differ from training, and in which columns and rules."""
    return f"these rows differ from training in {_three(names)}"


def headline(report: CheckReport) -> str:
    """Return what a reader of one line must know: the health, and why."""
    drift, performance = report.drift, report.performance
    parts = []
    if drift.confirmed:
        parts.append(f"drift: {_named(drift.confirmed)}")
    elif drift.suspected:
        parts.append(f"drift is suspected, not confirmed yet: {_named(drift.suspected)}")
    for _, found in performance.degraded()[:3]:
        parts.append(performance_text(found))
    if performance.estimated_verdict == "untrusted":
        names = ", ".join(performance.outside[:3])
        parts.append(
            f"estimates without labels are not trusted: values of {names} lie outside training"
        )
    if not parts:
        parts = {
            "healthy": [f"nothing has moved, and {_quality(performance)}"],
            "insufficient_data": ["too few answers and labels to say anything"],
        }.get(report.health, [])
    return "; ".join(parts)


def _quality(performance: PerformanceReport) -> str:
    """Return how it is known that a healthy model is good."""
    if performance.verdict == "good":
        return "quality holds on labels"
    if performance.estimated_verdict == "good":
        return "quality holds by the estimate; too few labels came to measure it"
    return "too few labels came to measure quality"


def probation_text(found: Probation) -> str:
    """Return what labels say of a champion on probation, in one line."""
    said = f"{found.n_pairs:,} labelled {found.counted}"
    verdict = "is surely worse than" if found.is_worse else "is held against"
    scores = ""
    if found.scores is not None:
        scores = f"{found.metric} {found.scores[0]:.4f} against {found.scores[1]:.4f}, "
    return (
        f"champion {found.champion} {verdict} {found.previous}, which answered the same rows: "
        f"{scores}mean difference of losses {found.mean_difference:+.4f} on {said}, "
        f"evidence {found.evidence:,.3g} of {found.needed:,.0f}"
    )


def performance_text(found: Performance) -> str:
    """Return a performance in one line: what it was, what it is, how sure that is."""
    how = "estimated without labels" if found.is_estimated else "measured on labels"
    return (
        f"{found.metric} {found.reference:.4f} → {found.value:.4f} "
        f"[{found.low:.4f}, {found.high:.4f}], {how}, n = {found.n_rows}"
        + ("" if found.broken_bound is None else f", beyond its bound {found.broken_bound:g}")
    )


def check_summary(report: CheckReport) -> str:
    """Return a check in a few sentences: what was found, on how many answers, what follows."""
    drift = report.drift
    parts = [finding_text(finding) for finding in drift.confirmed[:4]]
    if not parts:
        needed = drift.n_windows_needed
        parts = [suspicion_text(finding, needed) for finding in drift.suspected[:4]]
    parts += [performance_text(found) for _, found in report.performance.degraded()]
    where = f"{drift.windows.long.n_rows} {window_text(drift)}"
    if not parts:
        is_known = drift.verdict == "stable"
        parts = ["nothing has moved" if is_known else "insufficient data, which is not 'no drift'"]
    return f"{'; '.join(parts)} ({where}). {report.retraining.summary}"


def window_text(drift: DriftReport) -> str:
    """Return what a check looked at: a window of answers, or the rows of a batch."""
    if drift.job_id is not None:
        return f"rows of batch {drift.job_id}"
    return f"answers in {drift.window_hours} h"


def dropped_texts(report: ValidationReport) -> list[str]:
    """Return what a model was not trained on, with the reason: classes, columns, rows."""
    texts = [
        f"class '{name}': {n_rows} row(s), fewer than target.min_rows_per_class requires"
        for name, n_rows in report.rare_classes.items()
    ]
    texts += [f"column {name}: {reason}" for name, reason in report.left_out.items()]
    # The rows of rare classes are told by class.
    n_rejected = report.n_rejected - sum(report.rare_classes.values())
    rows = {
        "rejected, with reasons in the quarantine report": n_rejected,
        "duplicates": report.n_duplicates,
        "without a label": report.n_unlabelled,
        "without text": report.n_without_text,
        "outside dataset.filters": report.n_filtered,
        "with a gap (dataset.missing_rows)": report.n_gaps,
        "beyond dataset.max_rows": report.n_beyond_max_rows,
        "outliers (dataset.outliers)": report.n_outliers,
        "older than what predicts the newest ones best (training.history)": report.n_outdated,
    }
    texts += [f"{n_rows} row(s) {why}" for why, n_rows in rows.items() if n_rows]
    texts += [
        f"{n_records} record(s) of table {name}: unusable"
        for name, n_records in report.unusable_table_records.items()
        if n_records
    ]
    return texts


def decision_text(found: DecisionCheck) -> str:
    """Return what decisions on the test rows are worth, or what is wrong with them."""
    metric = "" if found.metric == "accuracy" else (
        f", {found.metric} {found.value:.4f} ({found.commonest_value:.4f})"
    )  # fmt: skip
    text = (
        f"decisions ({found.rule}): accuracy {found.accuracy:.4f} "
        f"(always the commonest class {found.commonest_accuracy:.4f}){metric}"
    )
    parts = [
        f"'{part.name}' is said of {part.predicted:.1%} of the rows and true of {part.actual:.1%}"
        for part in found.beyond[:5]
    ]
    parts += ["worse than always the commonest class"] if found.is_worse_than_commonest else []
    return f"{text}; degenerate: {'; '.join(parts)}" if parts else text


def replaced_text(found: DecisionCheck) -> str:
    """Return why the most probable class decides instead of a spec's rule."""
    return f"the most probable class decides instead: {decision_text(found)}"


def calibration_text(found: CalibrationCheck, bound: float) -> str:
    """Return a calibration error beside its bound."""
    text = (
        f"calibration error {found.error:.4f}, at most {bound + found.by_chance:.4f} allowed "
        f"({found.by_chance:.4f} of it by chance)"
    )
    if found.champion_error is None or found.challenger_error is None:
        return text
    return (
        f"{text} (on the rows of the comparison {found.challenger_error:.4f}, "
        f"{found.champion_error:.4f} of the champion)"
    )


def slices_text(n_slices: int, worse: Sequence[SliceComparison]) -> str:
    """Return how many slices are clearly worse than the champion's, and of which columns.

    A slice's level is a cell of the rows, which stays in the report.
    """
    if not worse:
        return f"none of {n_slices} slices is clearly worse than the champion's"
    shown = ", ".join(
        f"one of {part.column} ({part.improvement:+.4f} on {part.n_rows} rows)"
        for part in worse[:5]
    )
    return f"{len(worse)} of {n_slices} slices clearly worse than the champion's: {shown}"


def comparison_text(other: str, found: Comparison) -> str:
    """Return a comparison in one line: both scores, and the interval of the improvement."""
    return (
        f"{found.metric} {found.challenger:.4f} against {found.other:.4f} of {other}: "
        f"{found.confidence:.0%} interval of the improvement "
        f"[{found.low:+.4f}, {found.high:+.4f}] on {found.n_rows} rows"
    )
