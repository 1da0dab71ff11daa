"""Write the challenger as an immutable model version with its lineage."""

from dataclasses import dataclass

from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.errors import SettingsError, StoreUnavailableError
from noria.evaluation.runs import read_evaluation
from noria.ports import ArtifactStore, Clock, PackageRegistry
from noria.records.codec import from_bytes
from noria.records.evaluation import GateOutcome, Lineage, PromotionDecision, VersionFacts
from noria.records.training import CandidateResult
from noria.registry.versions import write_version
from noria.spec.loader import spec_hash
from noria.spec.model import ProjectSpec
from noria.storage.hashing import sha256_hex
from noria.storage.keys import (
    DECISION,
    EVALUATION,
    GOLDEN,
    REFERENCE,
    RESULT,
    SELECTION,
    candidate_key,
    run_key,
)


@dataclass(frozen=True)
class RegisterModelVersionRequest:
    """Which candidate of which run."""

    project: str
    run_id: str
    dataset_version: str
    candidate: str
    execution_id: str  # of the state machine
    backend: str
    # Of a refit on all rows: where its files lie, and the version that was evaluated.
    refit_run_id: str | None = None
    evaluated_as: str | None = None


@dataclass(frozen=True)
class RegisterModelVersionResult:
    """The version's name."""

    model_version: str
    mirror_fault: str | None = None  # why it is not in the other registry, where there is one


def register_model_version(
    request: RegisterModelVersionRequest,
    *,
    spec: ProjectSpec,
    artifacts: ArtifactStore,
    clock: Clock,
    packages: PackageRegistry | None,
) -> RegisterModelVersionResult:
    """Copy the challenger's artifacts into `models/<project>/<version>/`, manifest last.

    The version is named after the run and the bundle's hash, so a repeated run that trains the
    same model registers the same version, and one that does not cannot overwrite it. A refit on
    all rows is a version beside the one that was evaluated: its evaluation is that one's, its
    lineage names it and the rows it was fitted on.

    Parameters
    ----------
    packages : PackageRegistry or None
        Another registry that gets a pointer to it; its faults cost no model.
    """
    fitted_in = request.refit_run_id or request.run_id

    def candidate_file(name: str) -> bytes:
        return artifacts.get(candidate_key(spec.name, fitted_in, request.candidate, name))

    def run_file(name: str, run_id: str = request.run_id) -> bytes:
        return artifacts.get(run_key(spec.name, run_id, name))

    files = {name: candidate_file(name) for name in (BUNDLE_FILE, ARRAYS_FILE, GOLDEN)}
    files |= {name: run_file(name) for name in (EVALUATION, SELECTION, DECISION)}
    files[REFERENCE] = run_file(REFERENCE, fitted_in)
    evaluation = read_evaluation(artifacts, spec.name, request.run_id)
    version = f"{request.run_id}-{sha256_hex(files[BUNDLE_FILE])[:8]}"
    result = from_bytes(CandidateResult, candidate_file(RESULT))
    lineage = Lineage(
        dataset_version=request.dataset_version,
        spec_sha256=spec_hash(spec),
        code=result.code,
        parent_champion=evaluation.champion,
        run_id=request.run_id,
        execution_id=request.execution_id,
        backend=request.backend,
        candidate=request.candidate,
        evaluated_as=request.evaluated_as,
        recalibrated_from=result.recalibrated_from,
    )
    facts = VersionFacts(clock.now().isoformat(), lineage, evaluation.metrics)
    write_version(artifacts, spec.name, version, files, facts)
    if packages is None:
        return RegisterModelVersionResult(version)
    outcome = from_bytes(PromotionDecision, files[DECISION]).outcome
    properties = {
        "dataset_version": request.dataset_version,
        "backend": request.backend,
        "decision": outcome,
        **{f"metric.{name}": f"{value:.6g}" for name, value in evaluation.metrics.items()},
    }
    try:
        packages.mirror(spec.name, version, _status(spec, outcome), properties)
    except (SettingsError, StoreUnavailableError) as error:
        return RegisterModelVersionResult(version, error.message)
    return RegisterModelVersionResult(version)


def _status(spec: ProjectSpec, outcome: GateOutcome) -> str:
    """Return what the gate says in the other registry's words."""
    if outcome != "promote":
        return "Rejected"
    return "PendingManualApproval" if spec.rollout.approval == "required" else "Approved"
