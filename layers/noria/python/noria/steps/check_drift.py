"""Compare what the champion was asked and answered lately with what it was trained on."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from noria.api.checks import baseline_window
from noria.errors import NoChampionError
from noria.monitoring.checks import ColumnFinding, check_columns, quantiles, then_and_now
from noria.monitoring.prediction_log import read_reference, read_window
from noria.monitoring.reference import OUTPUTS, Reference, WindowProfile
from noria.monitoring.rules import RULES, RuleFinding, Window
from noria.ports import Clock, ModelAliases, MonitoredStore
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.keys import BASELINE, DRIFT, check_key, monitoring_key

STREAKS = "streaks.json"
Verdict = Literal["stable", "drift", "insufficient_data"]


@dataclass(frozen=True)
class CheckDriftRequest:
    """Which project, under which name, at which time."""

    project: str
    check_id: str
    at: str | None = None  # end of the windows, ISO 8601; now when absent


@dataclass(frozen=True)
class CheckDriftResult:
    """The finding, in short; `drift_key` has it in full."""

    verdict: Verdict
    model_version: str
    n_rows: int
    drifted: tuple[str, ...]  # columns confirmed in windows in a row
    drift_key: str
    at: str


def check_drift(
    request: CheckDriftRequest,
    *,
    spec: ProjectSpec,
    store: MonitoredStore,
    aliases: ModelAliases,
    clock: Clock,
) -> CheckDriftResult:
    """Check the short and the long window of the champion's answers.

    Reads the champion's reference profile and the profiles of the log's chunks; writes the
    check's `drift.json` and how many windows in a row each finding has held. Windows never reach
    back before the champion's promotion: a new champion starts with a clean sheet. Fewer rows
    than `monitoring.min_rows` are "insufficient_data", never "stable".

    Raises
    ------
    NoChampionError
        There is nothing to watch yet.
    """
    record = aliases.read(spec.name)
    if record.champion is None or record.promoted_at is None:
        raise NoChampionError(f"project '{spec.name}' has no champion to watch", project=spec.name)
    at = datetime.fromisoformat(request.at) if request.at else clock.now()
    check = _Check(spec, store, record.champion, datetime.fromisoformat(record.promoted_at), at)
    document = check.document()
    document["confirmed"] = _confirmed(spec, store, document)
    document["verdict"] = _verdict(document)
    key = check_key(spec.name, request.check_id, DRIFT)
    store.put(key, canonical_json(document))
    return CheckDriftResult(
        verdict=document["verdict"],
        model_version=record.champion,
        n_rows=document["windows"]["long"]["n_rows"],
        drifted=tuple(finding["name"] for finding in document["confirmed"]),
        drift_key=key,
        at=at.isoformat(),
    )


class _Check:
    """One champion at one time."""

    def __init__(
        self,
        spec: ProjectSpec,
        store: MonitoredStore,
        champion: str,
        promoted_at: datetime,
        at: datetime,
    ) -> None:
        self._spec, self._store, self._champion = spec, store, champion
        self._promoted_at, self._at = promoted_at, at
        self._reference = _with_baseline(
            read_reference(store, spec.name, champion),
            spec.name,
            champion,
            store,
            min_rows=spec.monitoring.min_rows,
        )

    def document(self) -> dict[str, Any]:
        monitoring = self._spec.monitoring
        long = self._window(monitoring.window_hours)
        windows = {
            "short": self._checked(self._window(monitoring.short_window_hours)),
            "long": self._checked(long),
        }
        return {
            "project": self._spec.name,
            "model_version": self._champion,
            "at": self._at.isoformat(),
            "window_hours": monitoring.window_hours,
            "short_window_hours": monitoring.short_window_hours,
            "windows": windows,
            "columns": then_and_now(self._reference.profile.columns, long.columns),
            "latency_ms": quantiles(long.latency),
            "n_failed": long.n_failed,
        }

    def _window(self, hours: int) -> WindowProfile:
        start = max(self._at - timedelta(hours=hours), self._promoted_at)
        subject = (self._spec.name, self._champion)
        return read_window(self._store, self._reference, subject, start, self._at)

    def _checked(self, current: WindowProfile) -> dict[str, Any]:
        monitoring = self._spec.monitoring
        if current.n_rows < monitoring.min_rows:
            return {"n_rows": current.n_rows, "is_sufficient": False, "findings": [], "rules": []}
        findings = check_columns(
            self._reference.profile.columns,
            current.columns,
            effects=monitoring.effects,
            alpha=monitoring.alpha,
        )
        return {
            "n_rows": current.n_rows,
            "is_sufficient": True,
            "findings": [finding.to_dict() for finding in findings],
            "rules": [vars(rule) for rule in self._rules(current, findings)],
        }

    def _rules(
        self, current: WindowProfile, findings: Sequence[ColumnFinding]
    ) -> Sequence[RuleFinding]:
        window = Window(self._spec, self._reference, current, findings)
        found = [RULES[name](window) for name in self._spec.monitoring.rules]
        return [rule for rule in found if rule is not None]


def _with_baseline(
    reference: Reference, project: str, champion: str, store: MonitoredStore, *, min_rows: int
) -> Reference:
    """Return the reference, its columns those of traffic that somebody declared normal."""
    try:
        baseline = json.loads(store.get(monitoring_key(project, BASELINE)))
    except KeyError:
        return reference
    if baseline["model_version"] != champion:
        return reference  # of another model: a promotion starts anew
    window = read_window(store, reference, (project, champion), *baseline_window(baseline))
    return replace(reference, profile=window) if window.n_rows >= min_rows else reference


def _confirmed(
    spec: ProjectSpec, store: MonitoredStore, document: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the findings that held in enough windows in a row, and remember all that hold now.

    A check at the same time again counts once; another champion starts anew.
    """
    key = monitoring_key(spec.name, STREAKS)
    before: dict[str, Any] = {"model_version": None, "at": "", "streaks": {}}
    with suppress(KeyError):  # the first check of all
        before = json.loads(store.get(key))
    known = before["streaks"] if before["model_version"] == document["model_version"] else {}
    at = datetime.fromisoformat(document["at"])
    # The two schedules fall together, people are impatient, steps run twice: one window.
    apart = timedelta(hours=spec.monitoring.every_hours) / 2
    is_again = bool(before["at"]) and abs(at - datetime.fromisoformat(before["at"])) < apart
    streaks: dict[str, dict[str, Any]] = {}
    now = {f"{window}|{name}": finding for window, name, finding in _holding(document)}
    for name in now:
        streak = known.get(name, {"n": 0, "since": document["at"]})
        streaks[name] = {**streak, "n": streak["n"] + (0 if is_again and streak["n"] else 1)}
    state = {"model_version": document["model_version"], "at": document["at"], "streaks": streaks}
    store.put(key, canonical_json(state))
    confirmed: dict[str, dict[str, Any]] = {}
    for name, finding in now.items():
        streak = streaks[name]
        if streak["n"] >= spec.monitoring.windows_in_a_row:
            entry = {**finding, "n_windows": streak["n"], "since": streak["since"]}
            confirmed.setdefault(finding["name"], entry)
    return list(confirmed.values())


def _holding(document: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (window, name, finding) of what holds in a window: columns and rules."""
    found = []
    for window, checked in document["windows"].items():
        for finding in checked["findings"]:
            if finding["is_drifted"]:
                is_output = finding["column"] in OUTPUTS
                code = "prediction_drift" if is_output else "data_drift"
                text = (
                    f"{finding['column']}: {finding['detail'] or finding['statistic']} "
                    f"({finding['statistic']} {finding['effect']:.3f})"
                )
                entry = {"name": finding["column"], "code": code, "text": text}
                found.append((window, finding["column"], entry))
        for rule in checked["rules"]:
            if rule["is_broken"]:
                entry = {"name": rule["rule"], "code": rule["code"], "text": rule["text"]}
                found.append((window, rule["rule"], entry))
    return found


def _verdict(document: Mapping[str, Any]) -> Verdict:
    if document["confirmed"]:
        return "drift"
    if not any(window["is_sufficient"] for window in document["windows"].values()):
        return "insufficient_data"
    return "stable"
