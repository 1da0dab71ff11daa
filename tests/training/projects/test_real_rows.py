"""The shipped specs on real files: what a new user would see."""

from types import SimpleNamespace

import pytest

from cli.analysis import Analysis
from noria.columnar.models import BatchModels
from noria.data.versions import read_dataset_manifest
from noria.evaluation.runs import read_evaluation
from noria.inference.loading import load_model_version
from noria.monitoring.prediction_log import read_reference
from noria.records.batch import BatchOutcome
from noria.records.codec import from_bytes
from noria.records.evaluation import PromotionDecision
from noria.registry.versions import read_manifest
from noria.spec.loader import load_project
from noria.steps.close_batch import CloseBatchRequest, close_batch
from noria.steps.plan_batch import PlanBatchRequest, plan_batch
from noria.steps.score_part import ScorePartRequest, score_part
from noria.storage.hashing import sha256_hex
from noria.storage.keys import DECISION, inbox_key, run_key
from tests.benchmarks.data import DATA
from tests.conftest import PROJECTS
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock
from tests.support.pipeline import run_training

BANK = sorted((DATA / "customers").glob("bank_additional_p*.csv"))
pytestmark = pytest.mark.skipif(
    not DATA.exists(), reason="needs the development data: set NORIA_DATA to its folder"
)


def _sampled(path):
    """Return a file whole, or every third row of one of the bank's, in their order."""
    body = path.read_bytes()
    if path not in BANK:
        return body
    header, *rows = body.splitlines(keepends=True)
    return header + b"".join(rows[::3])


class _Project:
    """A shipped project with some of its candidates, in memory."""

    def __init__(self, name, *candidates):
        spec = load_project(name, PROJECTS)
        chosen = tuple(c for c in spec.candidates if c.name in candidates)
        self.spec = spec.model_copy(update={"candidates": chosen})
        self.artifacts, self.aliases = MemoryArtifacts(), MemoryAliases()
        self.clock = SteppingClock()

    def put(self, *paths):
        keys = []
        for path in paths:
            keys.append(f"inbox/{self.spec.name}/1/{path.name}")
            self.artifacts.put(keys[-1], _sampled(path))
        return keys

    def train(self, *paths, run_id="r1"):
        return run_training(
            self.spec, self.put(*paths), run_id,
            artifacts=self.artifacts, aliases=self.aliases, clock=self.clock,
        )  # fmt: skip

    def batch(self, path):
        key = f"batch-inbox/{self.spec.name}/{path.name}"
        self.artifacts.put(key, _sampled(path))
        here = {"spec": self.spec, "store": self.artifacts}
        plan = plan_batch(
            PlanBatchRequest(self.spec.name, key, "e1", "x1"),
            aliases=self.aliases, clock=self.clock, **here,
        )  # fmt: skip
        models = BatchModels(self.artifacts)
        for part in range(plan.n_parts):
            request = ScorePartRequest(self.spec.name, plan.job_id, part)
            score_part(request, spec=self.spec, artifacts=self.artifacts, models=models)
        return close_batch(CloseBatchRequest(self.spec.name, key, "e1"), clock=self.clock, **here)


def _with(project, section, **changes):
    part = getattr(project.spec, section)
    changed = type(part)(**{**part.model_dump(), **changes})
    project.spec = project.spec.model_copy(update={section: changed})


def _evaluation(project, run_id="r1"):
    return read_evaluation(project.artifacts, project.spec.name, run_id)


def test_a_campaign_calls_the_best_tenth_of_each_file():
    """83 % of "yes" were promoted where 9 % buy, and said to all of the next two files."""
    project = _Project("customers", "logistic_regression")
    run = project.train(*BANK)
    assert run.outcome == "ChallengerPromoted", run.summary
    found = _evaluation(project)
    assert found.decision is not None
    assert not found.decision.is_degenerate
    assert found.metrics["accuracy"] > 0.8
    # What serves has learned from the newest file too.
    lineage = read_manifest(project.artifacts, "customers", run.model_version).lineage
    served = read_dataset_manifest(project.artifacts, "customers", lineage.dataset_version)
    assert (served.n_test, served.n_train > 4 * found.n_test) == (0, True)
    assert lineage.evaluated_as != run.model_version
    closed = project.batch(BANK[-1])
    outcome = from_bytes(BatchOutcome, project.artifacts.get(closed.summary_key))
    assert outcome.counts.classes["yes"] == round(0.1 * outcome.counts.n_answered)


def test_a_correction_is_tuned_on_the_newest_month_and_only_where_it_surely_gains():
    """What earlier months wanted said "yes" to 83 %."""
    project = _Project("customers", "logistic_regression")
    _with(project, "decision", rule="tuned", share=None)
    _with(project, "training", serve="evaluated")
    assert project.train(*BANK).outcome == "ChallengerPromoted"
    found = _evaluation(project)
    assert found.metrics["accuracy"] > 0.9
    assert not found.decision.is_degenerate


def test_a_degenerate_decision_is_replaced_by_the_most_probable_class_and_told():
    """In the bundle, in the reference of monitoring and in the decision's summary.

    The bundle is rewritten before the evaluation is kept: a run that is cut off between the two
    and started again ends the same.
    """
    project = _Project("customers", "logistic_regression")
    _with(project, "decision", rule="threshold", share=None, threshold=0.01)
    put, cuts = project.artifacts.put, []

    def once(key, body, **more):
        if key.endswith("evaluation.json") and not cuts:
            cuts.append(key)
            raise InterruptedError
        return put(key, body, **more)

    project.artifacts.put = once
    with pytest.raises(InterruptedError):
        project.train(*BANK[:3])
    run = project.train(*BANK[:3])
    found = _evaluation(project)
    assert (len(cuts), found.decision.rule) == (1, "most_probable")
    assert found.replaced_decision.is_degenerate
    key = run_key("customers", "r1", DECISION)
    told = from_bytes(PromotionDecision, project.artifacts.get(key)).reasons
    assert "decision_replaced" in {reason.code for reason in told}
    predictor = load_model_version(project.artifacts, "customers", run.model_version)
    assert predictor.decision.weights == (1.0, 1.0)
    reference = read_reference(project.artifacts, "customers", run.model_version)
    assert reference.tested["accuracy"] == found.metrics["accuracy"]
    said_yes = reference.out_of_fold.columns["(prediction)"].counts[1]
    assert said_yes < 0.01 * reference.out_of_fold.n_rows


def test_a_model_scores_the_file_it_was_trained_on():
    """HousingData.csv holds gaps: training filled them in, and serving refused 12 % of its rows."""
    project = _Project("housing", "ridge")
    file = DATA / "housing" / "HousingData.csv"
    assert project.train(file).outcome == "ChallengerPromoted"
    closed = project.batch(file)
    assert (closed.outcome, closed.event) == ("BatchCompleted", "BatchCompleted")
    n_rows = file.read_bytes().count(b"\n") - 1
    assert closed.summary.startswith(f"{n_rows} of {n_rows} rows answered, ")
    assert "with gaps filled in" in closed.summary


def test_the_training_file_itself_is_recognised_and_is_no_drift(tmp_path):
    """`analyze` of it said drift: a model is surer of rows that it has seen."""
    project = _Project("housing", "random_forest")
    file = DATA / "housing" / "HousingData.csv"
    key = inbox_key("housing", sha256_hex(file.read_bytes()), file.name)
    project.artifacts.put(key, file.read_bytes())
    run = run_training(
        project.spec, [key], "r2",
        artifacts=project.artifacts, aliases=MemoryAliases(), clock=project.clock,
    )  # fmt: skip
    target = SimpleNamespace(artifacts=project.artifacts, outputs={"DataBucket": "data"})
    work = Analysis(target, project.spec, run.model_version, features=False)
    found = work.here([str(file)], tmp_path)
    assert (found.verdict, found.trained_on) == ("stable", (str(file),))
    other = tmp_path / "other.csv"
    other.write_bytes(b"\n".join(file.read_bytes().splitlines()[:-1]) + b"\n")
    assert work.here([str(other)], tmp_path).trained_on == ()
    inbox = "s3://data/inbox/housing/"
    assert [*work.trained_on([inbox])] == [key]
    assert [*work.trained_on(["s3://data/inbox/customers/", "s3://other/inbox/housing/"])] == []
