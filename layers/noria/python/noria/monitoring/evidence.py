"""What confirms a drift: evidence that adds up over windows, and what stays a suspicion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log, sqrt
from typing import NamedTuple

from noria.monitoring.sources import OUTPUTS
from noria.records.drift import (
    CheckedWindow,
    ColumnFinding,
    DriftReport,
    HeldFinding,
    RuleFinding,
    Suspicion,
    Suspicions,
)
from noria.records.verdicts import DriftVerdict

# Overwhelming: at most so likely by chance after the correction, and at least so many times the
# effect that matters. 4,320 hourly checks of six months give 0.01 such findings by chance.
OVERWHELMING_P, OVERWHELMING_EFFECT = 1e-6, 3.0
_QUIET = 0.5  # e-value of a window in which a suspicion does not hold: that of p = 1
_LEAST_P = 1e-300


class Policy(NamedTuple):
    """What confirms a finding that is not overwhelming."""

    alpha: float  # rate of false discoveries among the tests of a window
    n_windows: int  # of new rows, in which it must hold


@dataclass(frozen=True)
class Observation:
    """What one window says of one column or rule."""

    finding: HeldFinding
    holds: bool
    e_value: float  # of the window alone, against "nothing has moved"
    is_overwhelming: bool


def e_value(p_value: float) -> float:
    """Return the evidence of a p-value against its hypothesis: 1 / (2 sqrt(p)).

    Notes
    -----
    Under the hypothesis its mean is at most 1, so products over windows of new rows exceed x with
    probability at most 1 / x: evidence may be added up for as long as one likes [1]_.

    References
    ----------
    .. [1] Vovk, Wang, "E-values: calibration, combination and applications", Annals of Statistics
       49 (2021), section 2: the calibrator of kappa = 1/2; Ville's inequality.

    Examples
    --------
    >>> e_value(0.0025)
    10.0
    """
    return 0.5 / sqrt(max(p_value, _LEAST_P))


def needed_evidence(policy: Policy) -> float:
    """Return the evidence that confirms: of so many windows in a row at `alpha`."""
    return e_value(policy.alpha) ** policy.n_windows


def observations(report: DriftReport, policy: Policy) -> dict[str, Observation]:
    """Return what the windows of a check say, by "<window>|<column or rule>"."""
    found: dict[str, Observation] = {}
    for window, checked in report.windows.named():
        for observation in of_window(checked, policy, report.at):
            found[f"{window}|{observation.finding.name}"] = observation
    return found


def of_window(checked: CheckedWindow, policy: Policy, at: str) -> list[Observation]:
    """Return what one window says of each column and rule; nothing where rows are too few."""
    columns: dict[str, list[ColumnFinding]] = {}
    for column in checked.findings:
        columns.setdefault(column.column, []).append(column)
    found = [_of_column(name, parts, policy.alpha, at) for name, parts in columns.items()]
    return found + [_of_rule(rule, policy.alpha, at) for rule in checked.rules]


def _of_column(name: str, parts: Sequence[ColumnFinding], alpha: float, at: str) -> Observation:
    # The surest of those that hold; they come first.
    surest = next((part for part in parts if part.is_drifted), parts[0])
    code = "prediction_drift" if name in OUTPUTS else "data_drift"
    finding = HeldFinding(name, code, 0, at, column=surest)
    if not surest.is_drifted:
        return Observation(finding, False, _QUIET, False)
    # A statistic without a test decides by its effect alone, as sure as the policy asks for.
    p_value = alpha if surest.p_adjusted is None else surest.p_adjusted
    effect = OVERWHELMING_EFFECT * (surest.threshold or 0.0)
    is_overwhelming = p_value <= OVERWHELMING_P and surest.effect >= effect
    return Observation(finding, True, e_value(p_value), is_overwhelming)


def _of_rule(rule: RuleFinding, alpha: float, at: str) -> Observation:
    finding = HeldFinding(rule.rule, rule.code, 0, at, rule=rule)
    value = e_value(alpha) if rule.is_broken else _QUIET
    return Observation(finding, rule.is_broken, value, rule.is_broken and rule.is_overwhelming)


def accumulated(
    before: Suspicions,
    found: Mapping[str, Observation],
    policy: Policy,
    *,
    model_version: str,
    at: str,
    is_new: bool,
) -> tuple[Suspicions, tuple[HeldFinding, ...], tuple[HeldFinding, ...]]:
    """Return (suspicions after a check, what is confirmed, what is suspected).

    Parameters
    ----------
    found : mapping
        By window and name, of the windows that have enough rows.
    is_new : bool
        Whether enough rows came since the last check that counted. The same rows looked at again
        add no evidence.

    Notes
    -----
    A finding is confirmed at once when it is overwhelming. Else its e-values are multiplied over
    the windows of new rows in which it holds or not, up to what confirms; it is confirmed when
    they reach that in at least `policy.n_windows` windows. A suspicion ends when its evidence
    falls below 1. Silence (too few rows, or no new ones) changes nothing: what was confirmed
    stays so, and a suspicion grows old. Another champion starts anew.
    """
    known = before.known if before.model_version == model_version else {}
    after = dict(known) if not is_new else _counted(known, found, policy)
    confirmed: dict[str, HeldFinding] = {}
    suspected: dict[str, HeldFinding] = {}
    for key, suspicion in after.items():
        observation = found.get(key)
        held = _held(suspicion, observation)
        holds = observation is None or observation.holds or not is_new
        (confirmed if suspicion.is_confirmed and holds else suspected).setdefault(held.name, held)
    for key, observation in found.items():  # looked at again: it holds, and counts for nothing
        if observation.holds and key not in after:
            suspected.setdefault(observation.finding.name, observation.finding)
    left = [finding for name, finding in suspected.items() if name not in confirmed]
    state = Suspicions(model_version, at if is_new else before.at, after)
    return state, tuple(confirmed.values()), tuple(left)


def _counted(
    known: Mapping[str, Suspicion],
    found: Mapping[str, Observation],
    policy: Policy,
) -> dict[str, Suspicion]:
    """Return the suspicions after windows of new rows."""
    needed = log(needed_evidence(policy))
    after: dict[str, Suspicion] = {}
    for key in dict.fromkeys((*known, *found)):
        observation = found.get(key)
        suspicion = known.get(key)
        if observation is None and suspicion is not None:  # silence
            after[key] = suspicion
        if observation is None or (suspicion is None and not observation.holds):
            continue
        start = suspicion or Suspicion(observation.finding, 0, 0.0)
        evidence = min(start.evidence + log(observation.e_value), needed)
        if evidence < 0.0:
            continue
        n_windows = start.n_windows + observation.holds
        is_sure = evidence >= needed - 1e-9 and n_windows >= policy.n_windows
        after[key] = Suspicion(
            finding=replace(observation.finding, since=start.finding.since)
            if observation.holds
            else start.finding,
            n_windows=n_windows,
            evidence=evidence,
            is_confirmed=start.is_confirmed or observation.is_overwhelming or is_sure,
        )
    return after


def _held(suspicion: Suspicion, observation: Observation | None) -> HeldFinding:
    """Return a finding as people see it: what the last window in which it held said."""
    now = observation.finding if observation and observation.holds else suspicion.finding
    return replace(now, n_windows=suspicion.n_windows, since=suspicion.finding.since)


def judged_report(
    report: DriftReport, confirmed: tuple[HeldFinding, ...], suspected: tuple[HeldFinding, ...]
) -> DriftReport:
    """Return a check's report with its verdict: too few rows are never "stable"."""
    verdict: DriftVerdict = "stable"
    if confirmed:
        verdict = "drift"
    elif suspected:
        verdict = "suspected"
    elif not any(window.is_sufficient for _, window in report.windows.named()):
        verdict = "insufficient_data"
    return replace(report, confirmed=confirmed, suspected=suspected, verdict=verdict)
