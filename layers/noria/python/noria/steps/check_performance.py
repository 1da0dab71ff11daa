"""How good the champion is now: measured on the labels that came, estimated where none did."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, isfinite

from scipy.special import chdtrc

from noria.errors import ModelError, RegistryError
from noria.evaluation.decisions import decide, watched_metrics
from noria.evaluation.metrics import Floats
from noria.evaluation.prior_shift import EstimatedShares, estimated_shares
from noria.inference.loading import load_model_version
from noria.monitoring.labelled_log import LabelledLog, Outcomes
from noria.monitoring.performance import (
    ShiftedAnswers,
    bounded,
    drop,
    estimated,
    judged,
    largest_drop,
    outside_columns,
    realised,
)
from noria.monitoring.prediction_log import last_answers, read_outputs, read_reference, read_window
from noria.monitoring.probation import judged_probation, probation_window
from noria.monitoring.reference import Reference
from noria.monitoring.window import WindowProfile
from noria.ports import Clock, ModelAliases, SearchableStore
from noria.records.alias import AliasRecord
from noria.records.codec import from_bytes, to_bytes
from noria.records.performance import (
    ClassShares,
    JobPerformance,
    Performance,
    PerformanceReport,
    PerformanceVerdict,
)
from noria.records.probation import Probation
from noria.reporting.words import probation_text
from noria.spec.model import ProjectSpec
from noria.storage.keys import PERFORMANCE, batch_key, check_key

_ALARMS = 0.001  # of checks that may say "degraded" by chance: one looks every hour
_COLLAPSE = 4.0  # times the drop that is allowed
_MOST_ANSWERS = 20_000  # of which class shares are estimated; more change no digit
_MOST_LABELS = 50_000  # that an interval is drawn from; more change no digit that is shown
_GRAVITY: tuple[PerformanceVerdict, ...] = ("insufficient_data", "good", "degraded")


@dataclass(frozen=True)
class CheckPerformanceRequest:
    """Which project, under which name, at which time."""

    project: str
    check_id: str
    at: str | None = None  # ISO 8601; now when absent


@dataclass(frozen=True)
class TakingBack:
    """A champion that labels have shown to be worse, and the one before."""

    champion: str
    previous: str
    reason: str


@dataclass(frozen=True)
class CheckPerformanceResult:
    """The finding, in short; `performance_key` has it in full."""

    verdict: PerformanceVerdict  # on labels
    estimated_verdict: PerformanceVerdict  # without
    n_labels: int
    performance_key: str
    taking_back: TakingBack | None = None  # of a champion that is worse than the one before


def check_performance(
    request: CheckPerformanceRequest,
    *,
    spec: ProjectSpec,
    store: SearchableStore,
    aliases: ModelAliases,
    clock: Clock,
) -> CheckPerformanceResult:
    """Measure the champion on the labels of the last hours, and estimate it without.

    Reads labels, the answers they belong to and the profiles of the log; writes the check's
    `performance.json`, and one beside each batch that labels are of. Rows without a label are left
    out: neither right nor wrong. Fewer labels than `monitoring.min_labels` are
    "insufficient_data", never "good". A champion on probation is held against the one before.
    """
    record = aliases.read(spec.name)
    champion = record.require_champion()
    at = datetime.fromisoformat(request.at) if request.at else clock.now()
    reference = read_reference(store, spec.name, champion)
    monitoring = spec.monitoring
    log = _labelled(spec, store, at)
    outcomes = log.of(reference, champion)
    start = _start(spec, record, at)
    newest = log.of(reference, champion, since=start)
    has_others = monitoring.min_labels <= newest.n < outcomes.n
    measured = _measured(spec, reference, outcomes, n_times=1 + has_others)
    recent = _measured(spec, reference, newest, n_times=2) if has_others else {}
    window = read_window(store, reference, (spec.name, champion), start, at)
    outputs = _newest_outputs(spec, store, reference, (champion, start, at))
    shares = _shares(reference, outputs)
    shifted = _shifted(spec, store, (champion, window.n_rows), outputs, shares)
    guessed, outside = _guessed(spec, reference, window, shifted)
    jobs, changed_jobs = _measured_jobs(spec, store, log)
    probation = _probation(spec, store, record, reference, at)
    report = PerformanceReport(
        project=spec.name,
        model_version=champion,
        at=at.isoformat(),
        primary_metric=spec.evaluation.primary_metric,
        n_labels=outcomes.n,
        n_unknown_labels=outcomes.n_unknown,
        recent=recent,
        n_recent_labels=newest.n,
        is_surely_good=newest.n >= monitoring.min_labels
        and _is_surely_good(spec, measured, recent),
        has_collapsed=_has_collapsed(spec, measured, recent),
        class_shares=None if shares is None else _class_shares(reference, shares),
        n_unmatched_labels=log.n_unmatched,
        n_waiting_labels=log.n_waiting,
        n_rows=window.n_rows,
        realised=measured,
        estimated=guessed,
        verdict=max(_verdict(measured), _verdict(recent), key=_GRAVITY.index),
        estimated_verdict="untrusted" if outside and guessed else _verdict(guessed),
        worst=_worst(recent) or _worst(measured) or _worst(guessed),
        outside=tuple(outside),
        jobs=jobs,
        changed_jobs=changed_jobs,
        probation=probation,
        champion_since=record.promoted_at,
        last_answers=last_answers(store, (spec.name, champion), start, at),
    )
    key = check_key(spec.name, request.check_id, PERFORMANCE)
    store.put(key, to_bytes(report))
    return _result(report, key)


def _result(report: PerformanceReport, key: str) -> CheckPerformanceResult:
    found = report.probation
    worse = None
    if found is not None and found.is_worse:
        worse = TakingBack(found.champion, found.previous, probation_text(found))
    return CheckPerformanceResult(
        report.verdict, report.estimated_verdict, report.n_labels, key, worse
    )


def _start(spec: ProjectSpec, record: AliasRecord, at: datetime) -> datetime:
    """Return the beginning of the long window: not before the champion was promoted."""
    promoted_at = datetime.fromisoformat(str(record.promoted_at))
    return max(at - timedelta(hours=spec.monitoring.window_hours), promoted_at)


def _labelled(spec: ProjectSpec, store: SearchableStore, at: datetime) -> LabelledLog:
    monitoring = spec.monitoring
    window = (at - timedelta(hours=monitoring.label_hours), at)
    return LabelledLog(store, spec.name, window, record_id_days=monitoring.record_id_days)


def _probation(
    spec: ProjectSpec,
    store: SearchableStore,
    record: AliasRecord,
    reference: Reference,
    at: datetime,
) -> Probation | None:
    """Hold a champion on probation against the one before, also while labels still come in."""
    window = probation_window(spec, record)
    if window is None or at > window[1] + timedelta(hours=spec.monitoring.label_hours):
        return None
    try:
        previous = read_reference(store, spec.name, str(record.previous_champion))
    except (ModelError, RegistryError):
        return None  # what cannot be read cannot serve again either
    n_days = ceil((at - window[0]) / timedelta(days=1))
    log = LabelledLog(store, spec.name, (window[0], at), record_id_days=n_days)
    return judged_probation(spec, record, log, (reference, previous), window)


def _measured(
    spec: ProjectSpec, reference: Reference, outcomes: Outcomes, *, n_times: int
) -> dict[str, Performance]:
    """Return every metric on labels, the watched ones judged; nothing on too few labels.

    `n_times` is how often each metric is judged: intervals are Bonferroni's.
    """
    if outcomes.n < spec.monitoring.min_labels:
        return {}
    outcomes = outcomes.sampled(_MOST_LABELS)
    watched = watched_metrics(spec)
    n_judged = len({*watched, *(gate.metric for gate in spec.monitoring.bounds)})
    names = [
        n for n in dict.fromkeys((*watched, *spec.evaluation.metrics)) if n in reference.tested
    ]
    measured = {
        name: realised(
            name, reference, outcomes.answers, outcomes.truth, n_judged=n_times * n_judged
        )
        for name in names
    }
    measured = _judged(spec, measured)
    for gate in spec.monitoring.bounds:
        if gate.metric in measured:
            found = bounded(measured[gate.metric], gate.min, gate.max, alarms=_ALARMS)
            measured[gate.metric] = found
    return measured


def _measured_jobs(
    spec: ProjectSpec, store: SearchableStore, log: LabelledLog
) -> tuple[tuple[JobPerformance, ...], tuple[str, ...]]:
    """Measure each batch on the labels of its rows; return which of them labels are new to.

    Labels leave the window again: what was measured on more of them stays.
    """
    references = dict[str, Reference]()
    found, changed = list[JobPerformance](), list[str]()
    for job in log.jobs:
        version = job.model_version
        try:
            if version not in references:
                references[version] = read_reference(store, spec.name, version)
        except (ModelError, RegistryError):
            continue  # an old version that cannot be read must not stop the champion's check
        outcomes = log.of(references[version], version, job=job)
        measured = _measured(spec, references[version], outcomes, n_times=1)
        performance = JobPerformance(job.job_id, job.filename, version, outcomes.n, measured)
        key = batch_key(spec.name, job.job_id, PERFORMANCE)
        with suppress(KeyError):
            stored = from_bytes(JobPerformance, store.get(key))
            if stored.n_labels > outcomes.n or stored == performance:
                found.append(stored)
                continue
        store.put(key, to_bytes(performance))
        found.append(performance)
        changed.append(job.job_id)
    return tuple(found), tuple(changed)


def _guessed(
    spec: ProjectSpec,
    reference: Reference,
    window: WindowProfile,
    shifted: ShiftedAnswers | None,
) -> tuple[dict[str, Performance], list[str]]:
    """Return every metric that can be estimated, and the columns that lie outside training.

    The watched ones are judged, unless there are such columns: then no estimate is trusted.
    """
    monitoring = spec.monitoring
    if window.n_rows < monitoring.min_rows:
        return {}, []
    found = {name: estimated(name, reference, window, shifted) for name in reference.scores}
    guessed = {name: value for name, value in found.items() if value is not None}
    outside = outside_columns(window, reference, monitoring.max_outside_fraction)
    return (guessed if outside else _judged(spec, guessed)), outside


def _newest_outputs(
    spec: ProjectSpec,
    store: SearchableStore,
    reference: Reference,
    what: tuple[str, datetime, datetime],  # model version, start, end
) -> Floats | None:
    """Return the probabilities of a window's newest answers; None for too few or a regression."""
    if not reference.classes:
        return None
    champion, start, end = what
    outputs = read_outputs(store, (spec.name, champion), start, end, most=_MOST_ANSWERS)
    return None if len(outputs) < spec.monitoring.min_rows else outputs


def _shares(reference: Reference, outputs: Floats | None) -> EstimatedShares | None:
    """Return how frequent the classes seem to be among answers."""
    if outputs is None:
        return None
    expected = reference.out_of_fold.expected.sum(axis=1)
    return estimated_shares(outputs, expected / expected.sum())


def _shifted(
    spec: ProjectSpec,
    store: SearchableStore,
    what: tuple[str, int],  # model version, rows of the window
    outputs: Floats | None,
    shares: EstimatedShares | None,
) -> ShiftedAnswers | None:
    """Return the answers under other class shares, where they differ and the model allows it.

    Training says whether a correction helps: `noria.training.prior_shift`.
    """
    if outputs is None or shares is None or not shares.is_evident:
        return None
    if spec.decision.prior_shift != "correct":
        return None
    champion, n_rows = what
    decision = load_model_version(store, spec.name, champion).decision
    if not decision.known_shares:
        return None
    return ShiftedAnswers.of(shares, outputs, decide(outputs, decision).decided, n_rows=n_rows)


def _class_shares(reference: Reference, found: EstimatedShares) -> ClassShares:
    then, now = (
        dict(zip(reference.classes, values.tolist(), strict=True))
        for values in (found.known, found.shares)
    )
    p_value = float(chdtrc(len(found.known) - 1, 2.0 * found.gain))
    return ClassShares(found.n_rows, then, now, p_value if isfinite(p_value) else 1.0)


def _judged(spec: ProjectSpec, found: dict[str, Performance]) -> dict[str, Performance]:
    watched, most = watched_metrics(spec), spec.monitoring.max_drop
    return {
        n: judged(part, most, alarms=_ALARMS) if n in watched else part for n, part in found.items()
    }


def _verdict(found: Mapping[str, Performance]) -> PerformanceVerdict:
    """Degraded if one of the watched metrics is."""
    if not found:
        return "insufficient_data"
    return "degraded" if any(part.is_degraded for part in found.values()) else "good"


def _is_surely_good(
    spec: ProjectSpec, measured: Mapping[str, Performance], recent: Mapping[str, Performance]
) -> bool:
    """Return whether labels rule out a drop that would matter: they know more than the inputs."""
    if "degraded" in (_verdict(measured), _verdict(recent)) or not measured:
        return False
    watched = [part for name, part in measured.items() if name in watched_metrics(spec)]
    return all(largest_drop(part) <= spec.monitoring.max_drop for part in watched)


def _has_collapsed(
    spec: ProjectSpec, measured: Mapping[str, Performance], recent: Mapping[str, Performance]
) -> bool:
    """Return whether a watched metric has dropped by far more than is allowed."""
    parts = [part for found in (measured, recent) for part in found.values() if part.is_degraded]
    return any(drop(part)[0] >= _COLLAPSE * spec.monitoring.max_drop for part in parts)


def _worst(found: Mapping[str, Performance]) -> str | None:
    """Return the degraded metric that has dropped most."""
    degraded = {name: drop(part)[0] for name, part in found.items() if part.is_degraded}
    return max(degraded, key=degraded.__getitem__) if degraded else None
