"""Compare the rows of a batch with what its model was trained on."""

import gzip
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime

from noria.errors import ModelCorruptError, SettingsError
from noria.monitoring.checks import checked_window, latencies, of_inputs, then_and_now
from noria.monitoring.evidence import (
    Observation,
    Policy,
    accumulated,
    judged_report,
    observations,
)
from noria.monitoring.lineage import training_files
from noria.monitoring.prediction_log import usual_reference
from noria.monitoring.reference import Reference
from noria.monitoring.suspicions import of_version, update_suspicions
from noria.monitoring.window import WindowProfile
from noria.ports import Clock, ModelAliases, ProjectState, SearchableStore
from noria.records.batch import BatchCheck, BatchPlan, JobOwner
from noria.records.codec import from_bytes, to_bytes
from noria.records.drift import CheckedWindow, DriftReport, Suspicions, Windows
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.hours import hour_name
from noria.storage.keys import (
    BATCH_PROFILE,
    BATCH_SUSPICIONS,
    BATCHES,
    DRIFT,
    PLAN,
    batch_check_id,
    batch_key,
    check_key,
    is_upload_of,
    monitoring_key,
    part_key,
    profile_key,
)

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class CheckBatchRequest:
    """Which job; all its parts are scored."""

    project: str
    job_id: str


@dataclass(frozen=True)
class CheckBatchResult:
    """The finding, in short; None where the rows are no evidence (`batch.monitored`, a limit)."""

    check: BatchCheck | None


def check_batch(
    request: CheckBatchRequest,
    *,
    spec: ProjectSpec,
    store: SearchableStore,
    aliases: ModelAliases,
    state: ProjectState,
    clock: Clock,
) -> CheckBatchResult:
    """Merge the profiles of the parts and check them as one window.

    Writes the profile beside the job's parts, for whoever closes it to file in the log, and the
    finding as `drift.json` of a check of its own. The same job again is the same check. Fewer rows
    than `monitoring.min_rows` are "insufficient_data", never "stable".

    Notes
    -----
    Each batch is one window, compared with the declared baseline where there is one. Where
    `batch.windows_in_a_row` is more than one, evidence adds up over batches; else each batch is
    judged alone, and only since when a drift has held in all of them is kept. The same file again
    is no new evidence. Nor are rows that the model was trained on: it is surer of them than of new
    ones, so its answers to them are not compared.

    Raises
    ------
    StoreUnavailableError
        Checks of other batches of the project run at the same moment; retry.
    """
    plan = from_bytes(BatchPlan, store.get(batch_key(spec.name, request.job_id, PLAN)))
    if not plan.is_profiled:
        return CheckBatchResult(None)
    if plan.model_version is None:
        raise SettingsError(f"batch job {plan.job_id} was refused; there is nothing to check")
    check_id = batch_check_id(plan.job_id)
    key = check_key(spec.name, check_id, DRIFT)
    if store.exists(key):
        report = from_bytes(DriftReport, store.get(key))
    else:
        report = _Checking(spec, store, plan, plan.model_version).run(state, clock.now())
        store.put(key, to_bytes(report))
    hour = hour_name(datetime.fromisoformat(plan.started_at))
    check = BatchCheck(
        check_id=check_id,
        at=report.at,
        model_version=report.model_version,
        verdict=report.verdict,
        n_rows=report.windows.long.n_rows,
        drifted=tuple(finding.name for finding in report.confirmed),
        suspected=tuple(finding.name for finding in report.suspected),
        drift_key=key,
        is_of_champion=aliases.read(spec.name).champion == report.model_version,
        profile_key=profile_key(spec.name, report.model_version, hour, check_id)
        if report.n_new_rows
        else None,
    )
    return CheckBatchResult(check)


class _Checking:
    """One job, of one model version."""

    def __init__(
        self, spec: ProjectSpec, store: SearchableStore, plan: BatchPlan, version: str
    ) -> None:
        self._spec, self._store, self._plan, self._version = spec, store, plan, version
        self._reference = usual_reference(
            store, spec.name, version, min_rows=spec.monitoring.min_rows
        )

    def run(self, state: ProjectState, at: datetime) -> DriftReport:
        """Return the report of the check, and put the rows' profile beside the parts."""
        window = _merged(self._store, self._reference, self._plan)
        body = gzip.compress(canonical_json(window.to_dict()), mtime=0)
        self._store.put(batch_key(self._spec.name, self._plan.job_id, BATCH_PROFILE), body)
        checked = checked_window(self._spec, self._reference, window)
        digest = self._digest()
        trained_on = tuple(
            key.rpartition("/")[2]
            for key in training_files(self._store, self._spec.name, self._version)
            if digest is not None and is_upload_of(key, digest)
        )
        if trained_on:
            checked = of_inputs(checked)
        is_new = not trained_on and (digest is None or self._is_first(digest))
        report = self._report(window, checked, trained_on, at)
        return self._judged(state, replace(report, n_new_rows=window.n_rows if is_new else 0))

    def _report(
        self,
        window: WindowProfile,
        checked: CheckedWindow,
        trained_on: tuple[str, ...],
        at: datetime,
    ) -> DriftReport:
        monitoring = self._spec.monitoring
        return DriftReport(
            project=self._spec.name,
            model_version=self._version,
            at=at.isoformat(),
            window_hours=monitoring.window_hours,
            short_window_hours=monitoring.short_window_hours,
            windows=Windows(short=CheckedWindow(0, is_sufficient=False), long=checked),
            columns=then_and_now(self._reference.profile.columns, window.columns),
            latency_ms=latencies(window.latency),
            n_failed=window.n_failed,
            n_windows_needed=self._spec.batch.windows_in_a_row,
            job_id=self._plan.job_id,
            trained_on=trained_on,
        )

    def _judged(self, state: ProjectState, report: DriftReport) -> DriftReport:
        if not report.windows.long.is_sufficient:
            return judged_report(report, (), ())
        policy = Policy(self._spec.monitoring.alpha, self._spec.batch.windows_in_a_row)
        found = observations(report, policy)

        def judged(stored: Suspicions) -> tuple[Suspicions, DriftReport]:
            before = of_version(stored, report.model_version)
            if before.job_id == report.job_id:  # this very check, cut off before it was written
                return before, judged_report(report, before.confirmed, before.suspected)
            if policy.n_windows == 1:  # judged alone; only since when it holds is kept
                held = {name: s for name, s in before.known.items() if _holds(found.get(name))}
                before = replace(before, known=held)
            after, confirmed, suspected = accumulated(
                before,
                found,
                policy,
                model_version=report.model_version,
                at=report.at,
                is_new=policy.n_windows == 1 or report.n_new_rows > 0,
            )
            after = replace(after, job_id=report.job_id, confirmed=confirmed, suspected=suspected)
            return after, judged_report(report, confirmed, suspected)

        return update_suspicions(state, self._spec.name, BATCH_SUSPICIONS, judged)

    def _digest(self) -> str | None:
        """Return the hash of the file's content; None where it has been removed."""
        digest = hashlib.sha256()
        try:
            with self._store.open(self._plan.source_key) as stream:
                for block in iter(lambda: stream.read(_BLOCK_BYTES), b""):
                    digest.update(block)
        except KeyError:
            return None
        return digest.hexdigest()

    def _is_first(self, digest: str) -> bool:
        """Return whether no other job has shown the model this very file; note that this one has."""
        key = monitoring_key(self._spec.name, f"{BATCHES}{self._version}/{digest}.json")
        note = JobOwner(self._plan.job_id)
        if self._store.put(key, to_bytes(note), if_absent=True):
            return True
        return from_bytes(JobOwner, self._store.get(key)) == note


def _holds(observation: Observation | None) -> bool:
    return observation is not None and observation.holds


def _merged(store: SearchableStore, reference: Reference, plan: BatchPlan) -> WindowProfile:
    """Return the profile of all parts; one is in memory at a time."""
    window = reference.empty()
    for number in range(len(plan.parts)):
        key = part_key(plan.project, plan.job_id, "profile", number)
        try:
            body = gzip.decompress(store.get(key))
        except KeyError as error:
            raise ModelCorruptError(f"{key}: this part was never profiled", key=key) from error
        window.add(reference.read(json.loads(body)))
    return window
