"""The page of a batch job."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from noria.ports import ArtifactStore
from noria.records.batch import BatchCounts, BatchOutcome, Worth
from noria.records.codec import from_bytes
from noria.records.drift import DriftReport
from noria.records.performance import JobPerformance
from noria.reporting import pictures
from noria.reporting.monitoring_report import moved_columns
from noria.reporting.page import render_page
from noria.reporting.words import differs_text
from noria.storage.keys import OUTCOME, PERFORMANCE, REPORT_HTML, batch_key


def write_page(store: ArtifactStore, project: str, job_id: str) -> str:
    """Draw a closed job from what is known of it, and return the page's key.

    KeyError when there is no such job, or it has expired.
    """
    outcome = from_bytes(BatchOutcome, store.get(batch_key(project, job_id, OUTCOME)))
    drift, performance = None, None
    with suppress(KeyError):  # it expires before the results, and a page may be drawn again
        if outcome.drift_key:
            drift = from_bytes(DriftReport, store.get(outcome.drift_key))
    with suppress(KeyError):
        body = store.get(batch_key(project, job_id, PERFORMANCE))
        performance = from_bytes(JobPerformance, body)
    key = batch_key(project, job_id, REPORT_HTML)
    store.put(key, render(outcome, drift, performance))
    return key


def render(
    outcome: BatchOutcome, drift: DriftReport | None, performance: JobPerformance | None = None
) -> bytes:
    """Return a closed job as one HTML file: no script, no network.

    Parameters
    ----------
    drift : DriftReport or None
        How its rows differ from those of training, where that was looked at.
    performance : JobPerformance or None
        How good its answers were, where labels have come.
    """
    bands = _bands(outcome)
    moved = moved_columns(drift) if drift else ()
    return render_page(
        "batch.html",
        (*_pictures(outcome.counts, bands), *moved),
        d=outcome,
        drift=drift,
        performance=performance,
        differs=differs_text(outcome.drifted),
        counts=outcome.counts,
        bands=bands,
    )


def _bands(outcome: BatchOutcome) -> dict[str, Worth]:
    """Return what each band is worth, the most valuable first."""
    counts, edges = outcome.counts, outcome.edges
    if counts is None or counts.values is None or edges is None:
        return {}
    found = counts.values.bands
    return {name: found[name] for name in reversed(edges.names) if name in found}


def _pictures(counts: BatchCounts | None, bands: Mapping[str, Worth]) -> Iterator[tuple[str, str]]:
    if counts is None:
        return
    if counts.classes:
        most = sorted(counts.classes.items(), key=lambda pair: -pair[1])
        yield "classes", pictures.bars(dict(most[:30]), "rows")
        yield "histogram", pictures.shares(counts.histogram or (), counts.histogram_of or "")
    if counts.spread:
        yield "spread", pictures.quantile_curve(counts.spread.middles, "prediction")
    if counts.values and counts.values.spread:
        yield "values", pictures.quantile_curve(counts.values.spread.middles, "business value")
    if bands:
        totals = {name: band.total for name, band in bands.items()}
        yield "bands", pictures.bars(totals, "business value in all")
