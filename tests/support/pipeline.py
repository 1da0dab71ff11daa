"""Run `training.asl.json`'s steps in its order, in process, over any ports.

The state machine itself is run by the integration tests; this is the fast stand-in for tests
that look at what the steps wrote.
"""

from dataclasses import dataclass
from typing import Any

from cli.samples.files import sample_files
from noria.errors import AliasConflictError, TrainingFailedError
from noria.ports import ArtifactStore, Clock, ModelAliases, PackageRegistry
from noria.spec.model import ProjectSpec
from noria.steps.check_refit import CheckRefitRequest, check_refit
from noria.steps.decide_promotion import DecidePromotionRequest, decide_promotion
from noria.steps.evaluate_challenger import EvaluateChallengerRequest, evaluate_challenger
from noria.steps.fit_feature_views import FitFeatureViewsRequest, fit_feature_views
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.steps.prepare_refit import PrepareRefitRequest, prepare_refit
from noria.steps.promote_challenger import PromoteChallengerRequest, promote_challenger
from noria.steps.recalibrate_champion import RecalibrateChampionRequest, recalibrate_champion
from noria.steps.register_model_version import RegisterModelVersionRequest, register_model_version
from noria.steps.select_challenger import SelectChallengerRequest, select_challenger
from noria.steps.train_candidate import TrainCandidateRequest, train_candidate
from noria.steps.verify_bundle import VerifyBundleRequest, verify_bundle
from noria.steps.write_training_report import WriteTrainingReportRequest, write_training_report
from tests.support.fakes import MemoryArtifacts
from tests.support.specs import quick_tickets


@dataclass
class Run:
    """What a pipeline run ended with."""

    outcome: str
    summary: str
    model_version: str | None = None
    candidate: str | None = None


def run_training(
    spec: ProjectSpec,
    sources: str | tuple[str, ...] | list[str],
    run_id: str,
    *,
    artifacts: ArtifactStore,
    aliases: ModelAliases,
    clock: Clock,
    packages: PackageRegistry | None = None,
    recalibrates: bool = False,
    reports: bool = False,
) -> Run:
    """Run every step from source file to promotion; returns the outcome's name.

    The report is written on request: drawing it takes longer than training a small model.
    """
    name = spec.name
    keys = (sources,) if isinstance(sources, str) else tuple(sources)
    here: dict[str, Any] = {"spec": spec, "artifacts": artifacts}
    dataset = prepare_dataset(PrepareDatasetRequest(name, run_id, keys), aliases=aliases, **here)
    if not dataset.accepted or dataset.dataset_version is None:
        return Run("DatasetRejected", "; ".join(dataset.reasons))
    version = dataset.dataset_version
    if recalibrates:
        recalibration = RecalibrateChampionRequest(name, run_id, version)
        try:
            chosen = recalibrate_champion(recalibration, aliases=aliases, code={}, **here).candidate
        except TrainingFailedError:
            recalibrates = False
    if not recalibrates:
        chosen = _trained(spec, run_id, version, artifacts, clock)
    evaluation = evaluate_challenger(
        EvaluateChallengerRequest(name, run_id, version, chosen), aliases=aliases, **here
    )
    verify_bundle(VerifyBundleRequest(name, run_id, chosen), artifacts=artifacts)
    decision = decide_promotion(DecidePromotionRequest(name, run_id), **here)
    if reports:
        write_training_report(
            WriteTrainingReportRequest(name, run_id, version, chosen), sink=None, **here
        )
    registered = register_model_version(
        RegisterModelVersionRequest(name, run_id, version, chosen, "local", "lambda"),
        clock=clock,
        packages=packages,
        **here,
    )
    model_version = registered.model_version
    if decision.outcome != "promote":
        outcome = {"keep_champion": "ChampionKept", "refuse_challenger": "ChallengerRefused"}
        return Run(outcome[decision.outcome], decision.summary, model_version, chosen)
    if dataset.plan.refits and not recalibrates:
        model_version = refitted(
            spec, run_id, version, chosen, model_version,
            artifacts=artifacts, clock=clock, packages=packages,
        )  # fmt: skip
    request = PromoteChallengerRequest(
        name, run_id, model_version, evaluation.alias_revision, decision.summary
    )
    try:
        promote_challenger(request, spec=spec, artifacts=artifacts, aliases=aliases, clock=clock)
    except AliasConflictError as error:
        return Run("ChampionKept", error.message, model_version, chosen)
    return Run("ChallengerPromoted", decision.summary, model_version, chosen)


def _trained(
    spec: ProjectSpec, run_id: str, dataset_version: str, artifacts: ArtifactStore, clock: Clock
) -> str:
    """Train every candidate on the dataset version; return the one that goes on."""
    name = spec.name
    here: dict[str, Any] = {"spec": spec, "artifacts": artifacts}
    fit_feature_views(FitFeatureViewsRequest(name, run_id, dataset_version), **here)
    for candidate in spec.candidates:
        train_candidate(
            TrainCandidateRequest(name, run_id, dataset_version, candidate.name),
            clock=clock,
            code={"noria": "test"},
            **here,
        )
    return select_challenger(SelectChallengerRequest(name, run_id), **here).candidate


def refitted(
    spec: ProjectSpec,
    run_id: str,
    dataset_version: str,
    candidate: str,
    evaluated: str,
    *,
    artifacts: ArtifactStore,
    clock: Clock,
    packages: PackageRegistry | None = None,
) -> str:
    """Fit the challenger again on all rows; return the version that serves."""
    name = spec.name
    here: dict[str, Any] = {"spec": spec, "artifacts": artifacts}
    again = prepare_refit(PrepareRefitRequest(name, run_id, dataset_version), **here)
    fit_feature_views(FitFeatureViewsRequest(name, again.run_id, again.dataset_version), **here)
    train_candidate(
        TrainCandidateRequest(name, again.run_id, again.dataset_version, candidate, evaluated),
        clock=clock, code={"noria": "test"}, **here,
    )  # fmt: skip
    checked = check_refit(
        CheckRefitRequest(
            name, run_id, again.run_id, dataset_version, candidate, again.dataset_version
        ),
        **here,
    )
    if checked.serves == "evaluated":
        return evaluated
    verify_bundle(VerifyBundleRequest(name, again.run_id, candidate), artifacts=artifacts)
    request = RegisterModelVersionRequest(
        name, run_id, again.dataset_version, candidate, "local", "lambda", again.run_id, evaluated
    )
    return register_model_version(request, clock=clock, packages=packages, **here).model_version


def prepared_tickets() -> tuple[ProjectSpec, MemoryArtifacts, str]:
    """Return (spec, store, dataset version) of quick tickets, ready for their candidates."""
    spec, store = quick_tickets(), MemoryArtifacts()
    ((name, body),) = sample_files("tickets", n_rows=150)
    store.put(f"inbox/{name}", body)
    request = PrepareDatasetRequest("quick", "r", (f"inbox/{name}",))
    version = prepare_dataset(request, spec=spec, artifacts=store).dataset_version
    assert version is not None
    fit_feature_views(FitFeatureViewsRequest("quick", "r", version), spec=spec, artifacts=store)
    return spec, store, version
