"""Decide whether the champion is trained again, and on which files."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from typing import Any

from noria.data.versions import MANIFEST
from noria.monitoring.retraining import Reason, Situation, obstacles, triggers
from noria.ports import ModelAliases, MonitoredStore
from noria.registry.versions import read_manifest
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json, short_id
from noria.storage.keys import (
    DECISION,
    DRIFT,
    PERFORMANCE,
    RETRAINING,
    check_key,
    dataset_key,
    inbox_prefix,
    monitoring_key,
    quarantine_key,
    run_key,
)

_ATTEMPTS, _INBOX = "attempts/", "inbox.json"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class DecideRetrainingRequest:
    """Which check, and whether it may train at all."""

    project: str
    check_id: str
    at: str  # ISO 8601, of the check
    may_retrain: bool = True  # False: this schedule only looks
    forced: bool = False  # somebody wants it, whatever the findings


@dataclass(frozen=True)
class DecideRetrainingResult:
    """The decision; its reasons in full are at `retraining_key`."""

    retrain: bool
    codes: tuple[str, ...]  # why, or why not
    summary: str
    execution_name: str  # of the training: a second one of this cool-down and champion is refused
    run_id: str
    source_keys: tuple[str, ...]
    retraining_key: str


def decide_retraining(
    request: DecideRetrainingRequest,
    *,
    spec: ProjectSpec,
    store: MonitoredStore,
    aliases: ModelAliases,
) -> DecideRetrainingResult:
    """Weigh the check's findings, the model's age and new files; write `retraining.json`.

    Reads the check, the champion's lineage, the inbox and earlier attempts. A training that is
    decided is noted under its day before it starts, one note a place: two checks that decide at
    once take one place, and a check that is run again decides as it did.
    """
    key = check_key(spec.name, request.check_id, RETRAINING)
    if store.exists(key):
        return _result(json.loads(store.get(key)))
    at = datetime.fromisoformat(request.at)
    situation, sources = _situation(request, at, spec, store, aliases)
    reasons, against = triggers(spec, situation), obstacles(spec, situation)
    if request.forced:
        reasons, against = [Reason("manual", "somebody asked for it"), *reasons], []
    wanted = bool(reasons) and request.may_retrain
    retrain = wanted and not against and _noted(spec, store, situation, request)
    subject = request.check_id if request.forced else situation.drift["model_version"]
    bucket = int(at.timestamp() // (3600 * spec.retraining.cool_down_hours))
    decision = {
        "retrain": retrain,
        "codes": _codes(reasons if retrain or not against else against),
        "reasons": [vars(reason) for reason in reasons],
        "against": [vars(reason) for reason in against],
        "summary": _summary(reasons, against, retrain=retrain, wanted=wanted),
        "execution_name": f"retrain-{spec.name}-{bucket}-{short_id(subject.encode())[:8]}",
        "run_id": _run_id(at),
        "source_keys": sources,
        "retraining_key": key,
    }
    store.put(key, canonical_json(decision))
    return _result(decision)


def _result(decision: dict[str, object]) -> DecideRetrainingResult:
    kept = {k: tuple(v) if isinstance(v, list) else v for k, v in decision.items()}
    return DecideRetrainingResult(
        **{name: kept[name] for name in DecideRetrainingResult.__dataclass_fields__}  # type: ignore[arg-type]
    )


def _run_id(at: datetime) -> str:
    return f"{at:%Y%m%dt%H%M%S}-auto"


def _codes(reasons: Sequence[Reason]) -> list[str]:
    return list(dict.fromkeys(reason.code for reason in reasons))


def _summary(
    reasons: Sequence[Reason], against: Sequence[Reason], *, retrain: bool, wanted: bool
) -> str:
    why = "; ".join(reason.text for reason in reasons[:3])
    if retrain:
        return f"training again: {why}"
    if not reasons:
        return "no reason to train again"
    if not wanted:
        return f"{why}; this check does not train"
    return f"{why}; but not now: " + "; ".join(reason.text for reason in against)


def _situation(
    request: DecideRetrainingRequest,
    at: datetime,
    spec: ProjectSpec,
    store: MonitoredStore,
    aliases: ModelAliases,
) -> tuple[Situation, list[str]]:
    record = aliases.read(spec.name)
    manifest = read_manifest(store, spec.name, str(record.champion))
    version = manifest["lineage"]["dataset_version"]
    trained_on = json.loads(store.get(dataset_key(spec.name, version, MANIFEST)))["offered"]
    noted = [json.loads(store.get(key)) for key in _attempt_keys(spec.name, store)]
    attempts = [note for note in noted if note["check_id"] != request.check_id]
    tried = [a for a in attempts if _has_ended(spec.name, _run_id_of(a), store)]
    seen = {*trained_on, *(key for attempt in tried for key in attempt["source_keys"])}
    listens = spec.retraining.on
    drift = json.loads(store.get(check_key(spec.name, request.check_id, DRIFT)))
    changed_at = min((datetime.fromisoformat(c["since"]) for c in drift["confirmed"]), default=None)
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
    # What earlier attempts had tried stays in: the champion may still learn from it.
    sources = [*trained_on, *(f.key for f in inbox if f.key not in trained_on)]
    if changed_at is not None and spec.retraining.rows == "since_change":
        sources = [f.key for f in inbox if f.key in of_now or _is_table(spec, f.key)]
    situation = Situation(
        at=at,
        drift=drift,
        changed_at=changed_at,
        performance=json.loads(store.get(check_key(spec.name, request.check_id, PERFORMANCE))),
        trained_at=datetime.fromisoformat(manifest["created_at"]),
        new_files=new,
        # Reading them costs: only where somebody asks.
        n_new_rows=sum(_n_lines(store, key) for key in new) if "new_rows" in listens else 0,
        attempts=[datetime.fromisoformat(attempt["at"]) for attempt in attempts],
        is_rollout_running=record.is_rolling_out(at),
    )
    return situation, sources


def _first_seen(
    project: str, store: MonitoredStore, keys: Sequence[str], at: datetime
) -> dict[str, datetime]:
    """Return when a check first saw each file, and remember it for new ones."""
    place = monitoring_key(project, _INBOX)
    known: dict[str, str] = {}
    with suppress(KeyError):  # the first check of all
        known = json.loads(store.get(place))
    now = {key: known.get(key, at.isoformat()) for key in keys}
    if now != known:
        store.put(place, canonical_json(now))
    return {key: datetime.fromisoformat(seen) for key, seen in now.items()}


def _run_id_of(attempt: Mapping[str, Any]) -> str:
    return _run_id(datetime.fromisoformat(attempt["at"]))


def _has_ended(project: str, run_id: str, store: MonitoredStore) -> bool:
    """Return whether a training came to a decision or refused its rows; a fault is no answer."""
    if store.exists(run_key(project, run_id, DECISION)):
        return True
    try:
        report = json.loads(store.get(quarantine_key(project, run_id, "report.json")))
    except KeyError:
        return False
    return not report["accepted"]


def _is_table(spec: ProjectSpec, key: str) -> bool:
    """Return whether a file is a table to join, which holds no rows with labels."""
    name = key.rpartition("/")[2]
    return any(fnmatch(name, join.files) for join in spec.dataset.joins)


def _attempt_keys(project: str, store: MonitoredStore) -> Iterator[str]:
    for found in store.under(monitoring_key(project, _ATTEMPTS)):
        yield found.key


def _noted(
    spec: ProjectSpec, store: MonitoredStore, now: Situation, request: DecideRetrainingRequest
) -> bool:
    """Take a free place of the day for this training; False if another check was faster."""
    day = now.at.astimezone(UTC).date().isoformat()
    place = sum(attempt.date() == now.at.date() for attempt in now.attempts)
    note = {"check_id": request.check_id, "at": request.at, "source_keys": list(now.new_files)}
    key = monitoring_key(spec.name, f"{_ATTEMPTS}{day}-{place:02d}.json")
    if store.put(key, canonical_json(note), if_absent=True):
        return True
    kept: dict[str, object] = json.loads(store.get(key))
    return kept["check_id"] == request.check_id  # this very check, cut off and run again


def _n_lines(store: MonitoredStore, key: str) -> int:
    """Return how many lines a text file has, reading it as a stream; 0 if it cannot be read."""
    with store.open(key) as stream:
        plain = gzip.GzipFile(fileobj=stream) if key.endswith(".gz") else stream
        try:
            return sum(block.count(b"\n") for block in iter(lambda: plain.read(_BLOCK_BYTES), b""))
        except (OSError, EOFError):
            return 0  # the training run will say what is wrong with it
