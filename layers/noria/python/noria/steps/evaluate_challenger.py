"""Compare the challenger with the champion on the same held-out rows."""

from dataclasses import dataclass

from noria.data.schema_inference import spec_of_dataset
from noria.errors import ModelVersionConflictError
from noria.evaluation.runs import read_evaluation
from noria.ports import ArtifactStore, ModelAliases
from noria.promotion.evidence import Challenger, ScoredTestRows, bundle_sha256
from noria.records.codec import to_bytes
from noria.records.evaluation import Evaluation
from noria.spec.model import ProjectSpec
from noria.storage.keys import EVALUATION, REFERENCE, TEST_ANSWERS, run_key


@dataclass(frozen=True)
class EvaluateChallengerRequest:
    """Which candidate is the challenger."""

    project: str
    run_id: str
    dataset_version: str
    candidate: str


@dataclass(frozen=True)
class EvaluateChallengerResult:
    """The evidence, in short."""

    evaluation_key: str
    champion: str | None
    alias_revision: int  # what the comparison was made against
    metric: str
    challenger_score: float
    champion_score: float | None
    interval_low: float | None
    interval_high: float | None


def evaluate_challenger(
    request: EvaluateChallengerRequest,
    *,
    spec: ProjectSpec,
    artifacts: ArtifactStore,
    aliases: ModelAliases,
) -> EvaluateChallengerResult:
    """Score challenger, champion and the trivial baseline on the test rows.

    Reads the test rows, the only step to do so, both serving bundles and the training rows'
    hashes; writes `evaluation.json` and the reference profile of monitoring, once: a run that is
    started again keeps the evaluation it has, so its own promotion can never become what it is
    compared with. A decision that is degenerate on the test rows is replaced by the most probable
    class, in the challenger's bundle too, and what that decides is evaluated.
    Test rows whose inputs the champion was trained on are left out of its comparison. A champion
    that cannot be loaded leaves no comparison, and the gate then refuses.

    Raises
    ------
    ModelVersionConflictError
        The run has an evaluation of another challenger or of other rows.
    """
    key = run_key(spec.name, request.run_id, EVALUATION)
    who = Challenger(spec.name, request.run_id, request.dataset_version, request.candidate)
    if not artifacts.exists(key):
        record = aliases.read(spec.name)
        columns = spec_of_dataset(artifacts, spec, request.dataset_version)
        rows = ScoredTestRows(who, columns, artifacts)
        evaluation = rows.evaluation(record.champion, record.revision)
        answers_key = run_key(spec.name, request.run_id, TEST_ANSWERS)
        artifacts.put(answers_key, rows.answers())
        reference_key = run_key(spec.name, request.run_id, REFERENCE)
        artifacts.put(reference_key, rows.reference())
        artifacts.put(key, to_bytes(evaluation), if_absent=True)
    kept = read_evaluation(artifacts, spec.name, request.run_id)
    _require_same_subject(kept, who, artifacts)
    comparison, metric = kept.against_champion, spec.evaluation.primary_metric
    return EvaluateChallengerResult(
        evaluation_key=key,
        champion=kept.champion,
        alias_revision=kept.alias_revision,
        metric=comparison.metric if comparison else metric,
        challenger_score=comparison.challenger if comparison else kept.metrics[metric],
        champion_score=comparison.other if comparison else None,
        interval_low=comparison.low if comparison else None,
        interval_high=comparison.high if comparison else None,
    )


def _require_same_subject(kept: Evaluation, who: Challenger, artifacts: ArtifactStore) -> None:
    subject = (who.dataset_version, bundle_sha256(who, artifacts))
    if (kept.dataset_version, kept.challenger_sha256) != subject:
        raise ModelVersionConflictError(
            f"{who.project}: run '{who.run_id}' was evaluated on other rows or another "
            "challenger; start it under a new run id",
            project=who.project,
            run_id=who.run_id,
        )
