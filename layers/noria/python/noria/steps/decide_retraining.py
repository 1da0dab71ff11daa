"""Decide whether the champion is trained again, and on which files."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch

from noria.data.source_lists import passed_keys
from noria.data.versions import read_dataset_manifest
from noria.errors import ModelCorruptError
from noria.monitoring.lineage import lineages
from noria.monitoring.retraining import Situation, kind, obstacles, triggers
from noria.ports import ModelAliases, SearchableStore
from noria.records.codec import from_bytes, to_bytes
from noria.records.drift import DriftReport
from noria.records.performance import PerformanceReport
from noria.records.retraining import (
    RetrainingDecision,
    RetrainingKind,
    RetrainingReason,
    TrainingAttempt,
)
from noria.registry.versions import read_manifest
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json, short_id
from noria.storage.keys import (
    ATTEMPTS,
    DECISION,
    DRIFT,
    FIRST_SEEN,
    PERFORMANCE,
    QUARANTINE_REPORT,
    RETRAINING,
    SOURCE_KEYS,
    check_key,
    inbox_prefix,
    monitoring_key,
    quarantine_key,
    run_key,
)

_BLOCK_BYTES = 1 << 20
_HOW: Mapping[RetrainingKind, str] = {
    "train": "training again",
    "refit": "training the champion's parameters again",
    "recalibrate": "recalibrating",
}


@dataclass(frozen=True)
class DecideRetrainingRequest:
    """Which check, and whether it may train at all."""

    project: str
    check_id: str
    at: str  # ISO 8601, of the check
    may_retrain: bool = True  # False: this schedule only looks
    forced: bool = False  # requested by a person, whatever the findings


@dataclass(frozen=True)
class DecideRetrainingResult:
    """The decision; its reasons in full are at `retraining_key`."""

    retrain: bool
    codes: tuple[str, ...]  # why, or why not
    summary: str
    execution_name: str  # of the training: a second one of this cool-down and champion is refused
    run_id: str
    source_keys: tuple[str, ...]  # to train on; or the key of their list, where they are many
    retraining_key: str
    how: RetrainingKind


def decide_retraining(
    request: DecideRetrainingRequest,
    *,
    spec: ProjectSpec,
    store: SearchableStore,
    aliases: ModelAliases,
) -> DecideRetrainingResult:
    """Weigh the check's findings, the model's age and new files; write `retraining.json`.

    Reads the check, the champion's lineage, the inbox and earlier attempts. A training that is
    decided is noted under its day before it starts, one note a place: two checks that decide at
    once take one place, and a check that is run again decides as it did.
    """
    key = check_key(spec.name, request.check_id, RETRAINING)
    if store.exists(key):
        return _result(from_bytes(RetrainingDecision, store.get(key)), store)
    at = datetime.fromisoformat(request.at)
    situation, sources = _situation(request, at, spec, store, aliases)
    reasons = triggers(spec, situation)
    against = obstacles(spec, situation, reasons)
    if request.forced:
        reasons, against = [RetrainingReason("manual", "requested by a person"), *reasons], []
    wanted = bool(reasons) and request.may_retrain
    retrain = wanted and not against and _noted(spec, store, situation, request)
    subject = request.check_id if request.forced else situation.drift.model_version
    bucket = int(at.timestamp() // (3600 * spec.retraining.cool_down_hours))
    decision = RetrainingDecision(
        retrain=retrain,
        codes=_codes(reasons if retrain or not against else against),
        reasons=tuple(reasons),
        against=tuple(against),
        summary=_summary(
            reasons,
            against,
            retrain=retrain,
            wanted=wanted,
            how=kind(spec, reasons),
            is_suspected=bool(situation.drift.suspected),
            is_good_on_labels=bool(situation.drift.confirmed)
            and situation.performance.is_surely_good,
        ),
        execution_name=f"retrain-{spec.name}-{bucket}-{short_id(subject.encode())[:8]}",
        run_id=_run_id(at),
        source_keys=tuple(sources),
        retraining_key=key,
        how=kind(spec, reasons),
    )
    store.put(key, to_bytes(decision))
    return _result(decision, store)


def _result(decision: RetrainingDecision, store: SearchableStore) -> DecideRetrainingResult:
    list_key = decision.retraining_key.removesuffix(RETRAINING) + SOURCE_KEYS
    return DecideRetrainingResult(
        retrain=decision.retrain,
        codes=decision.codes,
        summary=decision.summary,
        execution_name=decision.execution_name,
        run_id=decision.run_id,
        source_keys=passed_keys(store, decision.source_keys, list_key) if decision.retrain else (),
        retraining_key=decision.retraining_key,
        how=decision.how,
    )


def _run_id(at: datetime) -> str:
    return f"{at:%Y%m%dt%H%M%S}-auto"


def _codes(reasons: Sequence[RetrainingReason]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reason.code for reason in reasons))


def _summary(
    reasons: Sequence[RetrainingReason],
    against: Sequence[RetrainingReason],
    *,
    retrain: bool,
    wanted: bool,
    how: RetrainingKind,
    is_suspected: bool,
    is_good_on_labels: bool,  # though something has moved
) -> str:
    why = "; ".join(reason.text for reason in reasons[:3])
    if retrain:
        return f"{_HOW[how]}: {why}"
    if not reasons and is_good_on_labels:
        return "what has moved does not matter yet: on labels the model is as good as it was"
    if not reasons:
        return (
            "a suspicion is no reason to train yet" if is_suspected else "no reason to train again"
        )
    if not wanted:
        return f"it should train; this check does not train. Reasons: {why}"
    # What to do comes first: reasons are long.
    held = "; ".join(reason.text for reason in against)
    return f"it should train, but not now: {held}. Reasons: {why}"


def _situation(
    request: DecideRetrainingRequest,
    at: datetime,
    spec: ProjectSpec,
    store: SearchableStore,
    aliases: ModelAliases,
) -> tuple[Situation, list[str]]:
    record = aliases.read(spec.name)
    manifest = read_manifest(store, spec.name, str(record.champion))
    if manifest.lineage is None:
        raise ModelCorruptError(f"{spec.name}: the manifest of {record.champion} has no lineage")
    version = manifest.lineage.dataset_version
    manifest_of_rows = read_dataset_manifest(store, spec.name, version)
    trained_on = _offered(store, spec.name, str(record.champion))
    attempts = [a for a in _attempts(spec.name, store) if a.check_id != request.check_id]
    tried = [a for a in attempts if a.has_ended]
    seen = {*trained_on, *(key for attempt in tried for key in attempt.source_keys)}
    listens = spec.retraining.on
    drift = from_bytes(DriftReport, store.get(check_key(spec.name, request.check_id, DRIFT)))
    performance = store.get(check_key(spec.name, request.check_id, PERFORMANCE))
    changed_at = min((datetime.fromisoformat(c.since) for c in drift.confirmed), default=None)
    inbox = sorted(store.under(inbox_prefix(spec.name)), key=lambda found: found.modified_at)
    first_seen = _first_seen(spec.name, store, [found.key for found in inbox], at)
    age = timedelta(hours=spec.retraining.row_age_hours)
    of_now = {
        found.key
        for found in inbox
        if changed_at is None or first_seen[found.key] - age >= changed_at
    }
    new = [
        found.key
        for found in inbox
        if found.key in of_now - seen and not _is_table(spec, found.key)
    ]
    sources, left_out = _sources(spec, trained_on, [f.key for f in inbox], first_seen)
    if changed_at is not None and spec.retraining.rows == "since_change":
        sources = [f.key for f in inbox if f.key in of_now or _is_table(spec, f.key)]
    else:
        new = [key for key in new if key not in left_out]
    situation = Situation(
        at=at,
        drift=drift,
        changed_at=changed_at,
        performance=from_bytes(PerformanceReport, performance),
        trained_at=datetime.fromisoformat(manifest.created_at),
        new_files=new,
        # Reading them costs: only where the spec needs it.
        n_new_rows=sum(_n_lines(store, key) for key in new)
        if {"new_rows", "growth"} & {*listens}
        else 0,
        n_trained_rows=manifest_of_rows.n_train,
        attempts=[datetime.fromisoformat(attempt.at) for attempt in attempts],
        n_in_vain=sum(attempt.at > str(record.promoted_at) for attempt in tried),
        is_rollout_running=record.is_rolling_out(at) and not record.has_probation,
    )
    return situation, sources


def _sources(
    spec: ProjectSpec,
    trained_on: Sequence[str],
    inbox: Sequence[str],
    first_seen: Mapping[str, datetime],
) -> tuple[list[str], set[str]]:
    """Return the files to train on while nothing has changed, and those that stay out.

    What earlier attempts had tried stays in: the champion may still learn from it. With `rows =
    "since_change"` files that were there already when the champion was trained without them are of
    before an earlier change: with them it would unlearn the present.
    """
    left_out: set[str] = set()
    known = [first_seen[key] for key in trained_on if key in first_seen]
    if known and spec.retraining.rows == "since_change":
        left_out = {
            key
            for key in inbox
            if key not in trained_on and first_seen[key] < max(known) and not _is_table(spec, key)
        }
    others = [key for key in inbox if key not in trained_on and key not in left_out]
    return [*trained_on, *others], left_out


def _offered(store: SearchableStore, project: str, champion: str) -> list[str]:
    """Return the files that the champion, or a version it was recalibrated from, was offered."""
    found = (
        key
        for lineage in lineages(store, project, champion)
        for key in read_dataset_manifest(store, project, lineage.dataset_version).offered
    )
    return [*dict.fromkeys(found)]


def _first_seen(
    project: str, store: SearchableStore, keys: Sequence[str], at: datetime
) -> dict[str, datetime]:
    """Return when a check first saw each file, and remember it for new ones."""
    place = monitoring_key(project, FIRST_SEEN)
    known: dict[str, str] = {}
    with suppress(KeyError):  # the first check of all
        known = json.loads(store.get(place))
    now = {key: known.get(key, at.isoformat()) for key in keys}
    if now != known:
        store.put(place, canonical_json(now))
    return {key: datetime.fromisoformat(seen) for key, seen in now.items()}


def _run_id_of(attempt: TrainingAttempt) -> str:
    return _run_id(datetime.fromisoformat(attempt.at))


def _has_ended(project: str, run_id: str, store: SearchableStore) -> bool:
    """Return whether a training came to a decision or refused its rows; a fault is no answer."""
    if store.exists(run_key(project, run_id, DECISION)):
        return True
    try:
        report = json.loads(store.get(quarantine_key(project, run_id, QUARANTINE_REPORT)))
    except KeyError:
        return False
    return not report["accepted"]


def _is_table(spec: ProjectSpec, key: str) -> bool:
    """Return whether a file is a table to join, which holds no rows with labels."""
    name = key.rpartition("/")[2]
    return any(fnmatch(name, join.files) for join in spec.dataset.joins)


def _attempts(project: str, store: SearchableStore) -> Iterator[TrainingAttempt]:
    """Yield the attempts; one that is seen to have ended is known to have from then on."""
    for found in store.under(monitoring_key(project, ATTEMPTS)):
        attempt = from_bytes(TrainingAttempt, store.get(found.key))
        if not attempt.has_ended and _has_ended(project, _run_id_of(attempt), store):
            attempt = replace(attempt, has_ended=True)
            store.put(found.key, to_bytes(attempt))
        yield attempt


def _noted(
    spec: ProjectSpec, store: SearchableStore, now: Situation, request: DecideRetrainingRequest
) -> bool:
    """Take a free place of the day for this training; False if another check was faster."""
    day = now.at.astimezone(UTC).date().isoformat()
    place = sum(attempt.date() == now.at.date() for attempt in now.attempts)
    note = TrainingAttempt(request.check_id, request.at, tuple(now.new_files))
    key = monitoring_key(spec.name, f"{ATTEMPTS}{day}-{place:02d}.json")
    if store.put(key, to_bytes(note), if_absent=True):
        return True
    kept = from_bytes(TrainingAttempt, store.get(key))
    return kept.check_id == request.check_id  # this very check, cut off and run again


def _n_lines(store: SearchableStore, key: str) -> int:
    """Return how many lines a text file has, reading it as a stream; 0 if it cannot be read."""
    with store.open(key) as stream:
        plain = gzip.GzipFile(fileobj=stream) if key.endswith(".gz") else stream
        try:
            return sum(block.count(b"\n") for block in iter(lambda: plain.read(_BLOCK_BYTES), b""))
        except (OSError, EOFError):
            return 0  # the training run will say what is wrong with it
