"""Compare the rows of a batch with what its model was trained on."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from noria.errors import ModelCorruptError, SettingsError
from noria.monitoring.checks import checked_window, of_inputs, quantiles, then_and_now
from noria.monitoring.evidence import (
    Observation,
    Policy,
    accumulated,
    judged_report,
    observations,
)
from noria.monitoring.lineage import training_files
from noria.monitoring.prediction_log import read_reference
from noria.monitoring.reference import Reference
from noria.monitoring.suspicions import of_version, update_suspicions
from noria.monitoring.window import WindowProfile
from noria.ports import ArtifactStore, Clock, ModelAliases, ProjectState
from noria.records.batch import BatchCheck, BatchPlan
from noria.records.codec import from_bytes, to_bytes
from noria.records.drift import CheckedWindow, DriftReport, Suspicions, Windows
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.hours import hour_name
from noria.storage.keys import (
    BATCH_SUSPICIONS,
    DRIFT,
    PLAN,
    batch_check_id,
    batch_key,
    check_key,
    is_upload_of,
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
    store: ArtifactStore,
    aliases: ModelAliases,
    state: ProjectState,
    clock: Clock,
) -> CheckBatchResult:
    """Merge the profiles of the parts, file them in the log, and check them as one window.

    Writes the profile under the hour and the version that answered, where checks of the log read
    it too, and the finding as `drift.json` of a check of its own. The same job again is the same
    check. Fewer rows than `monitoring.min_rows` are "insufficient_data", never "stable".

    Notes
    -----
    Each batch is one window. Where `batch.windows_in_a_row` is more than one, evidence adds up
    over batches; else each batch is judged alone, and only since when a drift has held in all of
    them is kept. Answers to rows that the model was trained on
    are not compared, and such rows are not filed: it is surer of them than of new ones.

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
    )
    return CheckBatchResult(check)


class _Checking:
    """One job, of one model version."""

    def __init__(
        self, spec: ProjectSpec, store: ArtifactStore, plan: BatchPlan, version: str
    ) -> None:
        self._spec, self._store, self._plan, self._version = spec, store, plan, version
        self._reference = read_reference(store, spec.name, version)

    def run(self, state: ProjectState, at: datetime) -> DriftReport:
        """Return the report of the check, and file the rows' profile."""
        window = _merged(self._store, self._reference, self._plan)
        checked = checked_window(self._spec, self._reference, window)
        trained_on: tuple[str, ...] = ()
        if any(name not in of_inputs(checked).drifted for name in checked.drifted):
            trained_on = tuple(self._training_files())
        if trained_on:
            checked = of_inputs(checked)
        else:
            self._file(window)
        return self._judged(state, self._report(window, checked, trained_on, at))

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
            latency_ms=quantiles(window.latency),
            n_failed=window.n_failed,
            n_windows_needed=self._spec.batch.windows_in_a_row,
            n_new_rows=window.n_rows,
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
            is_new = before.job_id != report.job_id
            if is_new and policy.n_windows == 1:  # judged alone; only since when it holds is kept
                held = {name: s for name, s in before.known.items() if _holds(found.get(name))}
                before = replace(before, known=held)
            after, confirmed, suspected = accumulated(
                before,
                found,
                policy,
                model_version=report.model_version,
                at=report.at,
                is_new=is_new,
            )
            after = replace(after, job_id=report.job_id)
            return after, judged_report(report, confirmed, suspected)

        return update_suspicions(state, self._spec.name, BATCH_SUSPICIONS, judged)

    def _file(self, window: WindowProfile) -> None:
        """Put the profile where checks of the log read it: one object a job."""
        hour = hour_name(datetime.fromisoformat(self._plan.started_at))
        chunk = batch_check_id(self._plan.job_id)
        body = gzip.compress(canonical_json(window.to_dict()), mtime=0)
        self._store.put(profile_key(self._spec.name, self._version, hour, chunk), body)

    def _training_files(self) -> Iterator[str]:
        """Yield the names of the files with the batch's very content that the model learned from."""
        try:
            with self._store.open(self._plan.source_key) as stream:
                digest = hashlib.sha256()
                for block in iter(lambda: stream.read(_BLOCK_BYTES), b""):
                    digest.update(block)
        except KeyError:  # removed since
            return
        for key in training_files(self._store, self._spec.name, self._version):
            if is_upload_of(key, digest.hexdigest()):
                yield key.rpartition("/")[2]


def _holds(observation: Observation | None) -> bool:
    return observation is not None and observation.holds


def _merged(store: ArtifactStore, reference: Reference, plan: BatchPlan) -> WindowProfile:
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
