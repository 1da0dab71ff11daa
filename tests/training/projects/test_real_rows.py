"""The shipped specs on real files: what a new user would see."""

import pytest

from noria.columnar.engine import BatchModels
from noria.spec.loader import load_project
from noria.steps.close_batch import CloseBatchRequest, close_batch
from noria.steps.plan_batch import PlanBatchRequest, plan_batch
from noria.steps.score_part import ScorePartRequest, score_part
from tests.benchmarks.data import DATA
from tests.conftest import PROJECTS
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock
from tests.support.pipeline import run_training

pytestmark = pytest.mark.skipif(
    not DATA.exists(), reason="needs the development data: set NORIA_DATA to its folder"
)


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
            self.artifacts.put(keys[-1], path.read_bytes())
        return keys

    def train(self, *paths, run_id="r1"):
        return run_training(
            self.spec, self.put(*paths), run_id,
            artifacts=self.artifacts, aliases=self.aliases, clock=self.clock,
        )  # fmt: skip

    def batch(self, path):
        key = f"batch-inbox/{self.spec.name}/{path.name}"
        self.artifacts.put(key, path.read_bytes())
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
