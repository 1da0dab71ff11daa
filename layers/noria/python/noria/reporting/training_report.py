"""The report of a training run: its document, and the HTML that shows it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from noria.evaluation.metrics import METRICS, Answers, confusion
from noria.records.report import (
    ClassScores,
    Confusion,
    HeldOutPerformance,
    ReliabilityBin,
    TrainingReport,
)
from noria.reporting import pictures
from noria.reporting.page import render_page
from noria.reporting.words import dropped_texts, failed_candidates_text
from noria.spec.model import ProjectSpec

_MAX_CLASSES_DRAWN, _MAX_COLUMNS_DRAWN, _MAX_CORRELATED = 30, 24, 24
_CONFIDENCE_BINS = 10


def performance(answers: Answers, truth: Any, classes: Sequence[str]) -> HeldOutPerformance:
    """Return what the challenger did on the test rows, beside its metrics."""
    if answers.decided is None:
        return HeldOutPerformance(
            truth=tuple(truth.tolist()), predicted=tuple(answers.outputs[:, 0].tolist())
        )
    table = confusion(truth, answers)
    return HeldOutPerformance(
        confusion=Confusion(tuple(classes), tuple(map(tuple, table.astype(int).tolist()))),
        classes=tuple(_class_scores(table, classes)),
        reliability=tuple(_reliability(answers, truth)),
    )


def _class_scores(table: Any, classes: Sequence[str]) -> Iterator[ClassScores]:
    for number, name in enumerate(classes):
        hits, actual, predicted = (
            table[number, number], table[number].sum(), table[:, number].sum()
        )  # fmt: skip
        yield ClassScores(
            name,
            n_rows=int(actual),
            precision=float(hits / predicted) if predicted else None,
            recall=float(hits / actual) if actual else None,
            f1=float(2 * hits / (actual + predicted)) if actual + predicted else None,
        )


def _reliability(answers: Answers, truth: Any) -> Iterator[ReliabilityBin]:
    confidence = answers.outputs[np.arange(len(truth)), answers.decided]
    is_hit = answers.decided == truth
    bins = np.minimum((confidence * _CONFIDENCE_BINS).astype(int), _CONFIDENCE_BINS - 1)
    for number in np.unique(bins):
        rows = bins == number
        yield ReliabilityBin(
            confidence=float(confidence[rows].mean()),
            hit_fraction=float(is_hit[rows].mean()),
            n_rows=int(rows.sum()),
        )


def render(report: TrainingReport, spec: ProjectSpec) -> bytes:
    """Return the report as one HTML file: no script, no network, ready to print.

    Everything that comes from rows or people is escaped; pictures are images of their own.
    """
    directions = {name: METRICS[name].greater_is_better for name in report.evaluation.metrics}
    return render_page(
        "training.html",
        _pictures(report),
        d=report,
        e=report.evaluation,
        spec=spec,
        directions=directions,
        dropped=dropped_texts(report.validation),
        failed=failed_candidates_text(report.selection),
        searches={c.name: spec.search_of(c).kind for c in spec.candidates if c.space},
    )


def _pictures(report: TrainingReport) -> Iterator[tuple[str, str]]:
    selection, shown, evaluation = report.selection, report.performance, report.evaluation
    yield (
        "candidates",
        pictures.candidates(selection.candidates, selection.metric, selection.challenger),
    )
    compared = {"the baseline": evaluation.against_baseline}
    if evaluation.against_champion:
        compared["the champion"] = evaluation.against_champion
    yield "improvement", pictures.improvement(compared)
    if shown.confusion:
        table = shown.confusion
        if len(table.classes) <= _MAX_CLASSES_DRAWN:
            yield "confusion", pictures.confusion(table.counts, table.classes)
        yield "reliability", pictures.reliability(shown.reliability)
    else:
        target = report.profile["target"]["name"]
        yield "residuals", pictures.residuals(shown.truth, shown.predicted, target)
    if report.importance:
        top = {part.feature: part.mean_contribution for part in report.importance[:15]}
        yield "importance", pictures.bars(top, f"mean |contribution|, {report.scale}")
    if report.swarms:
        yield "swarms", pictures.swarms(report.swarms, f"contribution, {report.scale}")
    yield from _profile_pictures(report.profile)


def _profile_pictures(profile: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    target = profile["target"]
    drawn = {f"{target['name']} (target)": target} | {
        name: column for name, column in profile["columns"].items() if column["n_distinct"]
    }
    yield "distributions", pictures.distributions(dict([*drawn.items()][:_MAX_COLUMNS_DRAWN]))
    found = profile["correlations"]
    if 2 <= len(found["names"]) <= _MAX_CORRELATED:
        yield "correlations", pictures.correlations(found["names"], found["matrix"])
