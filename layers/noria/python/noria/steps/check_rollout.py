"""Hold a challenger against the champion on the live requests of its rollout."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from noria.errors import AliasConflictError
from noria.monitoring.labelled_log import LabelledLog
from noria.monitoring.performance import realised
from noria.monitoring.prediction_log import read_reference, read_window
from noria.ports import Clock, ModelAliases, SearchableStore
from noria.promotion.rollout import RolloutVerdict, judge
from noria.records.performance import Performance
from noria.spec.model import ProjectSpec


@dataclass(frozen=True)
class CheckRolloutRequest:
    """Which challenger, and how often its step has waited for requests."""

    project: str
    model_version: str
    n_waits: int


@dataclass(frozen=True)
class CheckRolloutResult:
    """Whether the step is passed."""

    verdict: RolloutVerdict
    summary: str
    n_rows: int
    n_failed: int


def check_rollout(
    request: CheckRolloutRequest,
    *,
    spec: ProjectSpec,
    store: SearchableStore,
    aliases: ModelAliases,
    clock: Clock,
) -> CheckRolloutResult:
    """Compare failures, speed, predicted classes and, where labels came, quality.

    Reads the profiles and labels since the step began. Too few requests make the step wait, and
    after `rollout.max_waits` revert the rollout: without a comparison there is no promotion.

    Raises
    ------
    AliasConflictError
        The rollout is no longer that of this challenger.
    """
    record = aliases.read(spec.name)
    if record.challenger != request.model_version or record.champion is None:
        raise AliasConflictError(
            f"{spec.name}: {request.model_version} is not being rolled out", project=spec.name
        )
    since, now = datetime.fromisoformat(str(record.rollout_started_at)), clock.now()
    references = [read_reference(store, spec.name, v) for v in (record.champion, record.challenger)]
    windows = [
        # Files are answered by the champion alone: only requests are asked of both.
        read_window(
            store,
            reference,
            (spec.name, version),
            since,
            now + timedelta(seconds=1),
            with_batches=False,
        )
        for reference, version in zip(references, (record.champion, record.challenger), strict=True)
    ]
    log = LabelledLog(
        store,
        spec.name,
        (since, now),
        record_id_days=spec.monitoring.record_id_days,
        with_batches=False,
    )
    primary, measured = spec.evaluation.primary_metric, list[Performance]()
    for reference, version in zip(references, (record.champion, record.challenger), strict=True):
        outcomes = log.of(reference, version)
        if outcomes.n >= spec.monitoring.min_labels:
            measured.append(realised(primary, reference, outcomes.answers, outcomes.truth))
    pair = (measured[0], measured[1]) if len(measured) == 2 else None
    verdict, breaches = judge(spec.rollout, windows[0], windows[1], pair)
    n_rows, n_failed = windows[1].n_rows, windows[1].n_failed
    summary = "; ".join(breach.text for breach in breaches) or f"{n_rows} requests, nothing wrong"
    if verdict == "wait" and request.n_waits >= spec.rollout.max_waits:
        verdict = "breach"
        summary = (
            f"insufficient data: {n_rows} requests, {spec.rollout.min_rows} required, and "
            f"{windows[0].n_rows} of the champion; "
            f"promote it by hand: noria promote {spec.name} {request.model_version}"
        )
    return CheckRolloutResult(verdict, summary, n_rows, n_failed)
