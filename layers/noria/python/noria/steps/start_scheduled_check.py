"""Start the check that a schedule asks for, unless nothing can have changed since the last one.

A check takes a dozen state transitions and four functions, each hour of each project, whether
anybody asks the model anything or not. For a project at rest this look takes their place.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from noria.monitoring.retraining import NO_NEW_ROWS
from noria.ports import Executions, Message, ModelAliases, SearchableStore
from noria.records.alias import AliasRecord
from noria.records.check import CheckReport
from noria.records.codec import from_bytes
from noria.spec.model import ProjectSpec
from noria.storage.hours import days_between, hour_name
from noria.storage.keys import (
    CURRENT,
    FIRST_SEEN,
    inbox_prefix,
    labels_of_hours,
    monitoring_key,
    profile_prefix,
    profiles_of_hours,
)

# A champion at rest is checked all the same: its age, and a new spec, are no news to this look.
_LONGEST_REST = timedelta(hours=23)
_LABELS_WAIT = timedelta(hours=2)  # a label without an answer is told an hour after it came


@dataclass(frozen=True)
class StartScheduledCheckRequest:
    """Which project, and when the schedule meant it."""

    project: str
    may_retrain: bool
    at: str  # ISO 8601


@dataclass(frozen=True)
class StartScheduledCheckResult:
    """Whether a check was started, and why or why not."""

    is_started: bool
    reason: str


def start_scheduled_check(
    request: StartScheduledCheckRequest,
    *,
    spec: ProjectSpec,
    store: SearchableStore,
    aliases: ModelAliases,
    executions: Executions,
) -> StartScheduledCheckResult:
    """Start the monitoring machine where a check could say anything else than the last one.

    It could not where the last check is younger than a day, was of the same champion since the
    same promotion, and found no answers, no labels and no reason; and where no answer, no label and
    no file to train on has come since. The execution is named after its time: a schedule that
    comes twice starts one check.
    """
    at = datetime.fromisoformat(request.at)
    record = aliases.read(request.project)
    if record.champion is None:
        return StartScheduledCheckResult(False, "there is no champion to check")
    news = _news(spec, store, record, at)
    if news is None:
        return StartScheduledCheckResult(False, "nothing has come since the last check")
    kind = "full" if request.may_retrain else "look"
    name = f"scheduled-{kind}-{spec.name}-{at.astimezone(UTC):%Y%m%dt%H%M%S}"
    message: Message = {
        "project": spec.name,
        "may_retrain": request.may_retrain,
        "at": request.at,  # equal for both kinds, where they fall together
    }
    executions.start("Monitoring", name, message)
    return StartScheduledCheckResult(True, news)


def _news(
    spec: ProjectSpec, store: SearchableStore, record: AliasRecord, at: datetime
) -> str | None:
    """Return what a check could find that the last one has not; None where there is nothing."""
    champion = record.require_champion()
    try:
        last = from_bytes(CheckReport, store.get(monitoring_key(spec.name, CURRENT)))
    except KeyError:
        return "the champion was never checked"
    checked_at = datetime.fromisoformat(last.at)
    if at - checked_at > _LONGEST_REST:
        return "the last check is a day old"
    if (last.drift.model_version, last.performance.champion_since) != (
        champion,
        record.promoted_at,
    ):
        return "the champion is a new one"
    if not _is_at_rest(last):
        return "the last check found something"
    start = at - timedelta(hours=spec.monitoring.window_hours)
    first = profile_prefix(spec.name, champion, hour_name(start))
    if any(
        _has_any(store, profiles_of_hours(spec.name, champion, day), first)
        for day in days_between(start, at)
    ):
        return "there are answers"
    since = checked_at - _LABELS_WAIT
    if any(
        _has_newer(store, labels_of_hours(spec.name, day), since) for day in days_between(since, at)
    ):
        return "there are labels"
    if _has_unseen_file(spec.name, store):
        return "there are files to train on"
    return None


def _is_at_rest(last: CheckReport) -> bool:
    """Return whether a check found nothing at all, so that time alone changes nothing."""
    drift, performance, retraining = last.drift, last.performance, last.retraining
    # A reason that waits for new rows waits for a file, which is looked for.
    waits = any(obstacle.code == NO_NEW_ROWS for obstacle in retraining.against)
    found = (
        drift.windows.long.n_rows, drift.n_answered, drift.n_failed, drift.confirmed,
        drift.suspected, performance.n_labels, performance.n_waiting_labels,
        performance.n_unmatched_labels,
        performance.n_unknown_labels,
        performance.jobs,
        performance.n_rows, performance.probation, retraining.reasons and not waits,
    )  # fmt: skip
    return not any(found)


def _has_unseen_file(project: str, store: SearchableStore) -> bool:
    """Return whether the inbox holds a file that no check has seen.

    By its key: an upload in parts bears the time that it began at, which may be before a check.
    """
    try:
        seen = json.loads(store.get(monitoring_key(project, FIRST_SEEN)))
    except KeyError:
        seen = {}
    return any(found.key not in seen for found in store.under(inbox_prefix(project)))


def _has_any(store: SearchableStore, prefix: str, first: str) -> bool:
    """Return whether there is an object under a prefix, from a key on."""
    return any(found.key >= first for found in store.under(prefix))


def _has_newer(store: SearchableStore, prefix: str, than: datetime) -> bool:
    return any(found.modified_at > than for found in store.under(prefix))
