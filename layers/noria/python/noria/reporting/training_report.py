"""The report of a training run: its document, and the HTML that shows it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from noria.evaluation.metrics import METRICS, Answers, confusion
from noria.reporting import pictures
from noria.reporting.page import render_page
from noria.spec.model import ProjectSpec

_MAX_CLASSES_DRAWN, _MAX_COLUMNS_DRAWN, _MAX_CORRELATED = 30, 24, 24
_CONFIDENCE_BINS = 10

Json = dict[str, Any]


def performance(answers: Answers, truth: Any, classes: Sequence[str]) -> Json:
    """Return what the challenger did on the test rows, beside its metrics.

    Returns
    -------
    dict
        Classification: `confusion` (counts, true by predicted), `classes` (precision, recall, F1
        and rows of each) and `reliability` (confidence, hit fraction and rows by bin).
        Regression: `truth` and `predicted`, for the pictures.
    """
    if answers.decided is None:
        return {"truth": truth.tolist(), "predicted": answers.outputs[:, 0].tolist()}
    table = confusion(truth, answers)
    return {
        "confusion": {"classes": list(classes), "counts": table.astype(int).tolist()},
        "classes": [*_class_scores(table, classes)],
        "reliability": [*_reliability(answers, truth)],
    }


def _class_scores(table: Any, classes: Sequence[str]) -> Iterator[Json]:
    for number, name in enumerate(classes):
        hits, actual, predicted = (
            table[number, number], table[number].sum(), table[:, number].sum()
        )  # fmt: skip
        yield {
            "class": name,
            "n_rows": int(actual),
            "precision": float(hits / predicted) if predicted else None,
            "recall": float(hits / actual) if actual else None,
            "f1": float(2 * hits / (actual + predicted)) if actual + predicted else None,
        }


def _reliability(answers: Answers, truth: Any) -> Iterator[Json]:
    confidence = answers.outputs[np.arange(len(truth)), answers.decided]
    is_hit = answers.decided == truth
    bins = np.minimum((confidence * _CONFIDENCE_BINS).astype(int), _CONFIDENCE_BINS - 1)
    for number in np.unique(bins):
        rows = bins == number
        yield {
            "confidence": float(confidence[rows].mean()),
            "hit_fraction": float(is_hit[rows].mean()),
            "n_rows": int(rows.sum()),
        }


def render(document: Mapping[str, Any], spec: ProjectSpec) -> bytes:
    """Return the report as one HTML file: no script, no network, ready to print.

    Everything that comes from rows or people is escaped; pictures are images of their own.
    """
    directions = {name: METRICS[name].greater_is_better for name in document["metrics"]}
    return render_page(
        "training.html", _pictures(document), d=document, spec=spec, directions=directions
    )


def _pictures(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    selection, shown = document["selection"], document["performance"]
    yield (
        "candidates",
        pictures.candidates(selection["candidates"], selection["metric"], selection["challenger"]),
    )
    compared = {"the baseline": document["against_baseline"]}
    if document["against_champion"]:
        compared["the champion"] = document["against_champion"]
    yield "improvement", pictures.improvement(compared)
    if "confusion" in shown:
        classes = shown["confusion"]["classes"]
        if len(classes) <= _MAX_CLASSES_DRAWN:
            yield "confusion", pictures.confusion(shown["confusion"]["counts"], classes)
        yield "reliability", pictures.reliability(shown["reliability"])
    else:
        target = document["profile"]["target"]["name"]
        yield "residuals", pictures.residuals(shown["truth"], shown["predicted"], target)
    if document["importance"]:
        top = {part["feature"]: part["mean_contribution"] for part in document["importance"][:15]}
        yield "importance", pictures.bars(top, f"mean |contribution|, {document['scale']}")
    yield from _profile_pictures(document["profile"])


def _profile_pictures(profile: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    target = profile["target"]
    drawn = {f"{target['name']} (target)": target} | {
        name: column for name, column in profile["columns"].items() if column["n_distinct"]
    }
    yield "distributions", pictures.distributions(dict([*drawn.items()][:_MAX_COLUMNS_DRAWN]))
    found = profile["correlations"]
    if 2 <= len(found["names"]) <= _MAX_CORRELATED:
        yield "correlations", pictures.correlations(found["names"], found["matrix"])
