"""Which rows train and judge once there is a champion, and time splits them."""

import csv
import io

import numpy as np
import pytest

from noria.data.validation import TARGET
from noria.data.versions import read_dataset_manifest, read_rows
from noria.evaluation.runs import read_evaluation
from noria.records.dataset import ValidationReport
from noria.spec.loader import parse_spec
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.storage.keys import TEST, TRAIN
from tests.support.fakes import FixedClock, MemoryAliases, MemoryArtifacts
from tests.support.pipeline import run_training
from tests.support.production import START

_SPEC = """
[project]
name = "turning"
task = "{task}"
description = "a relation that may turn round"
[dataset]
in_time_order = true
duplicates = "keep"
[dataset.columns]
x = {{ type = "number" }}
z = {{ type = "number" }}
[target]
column = "y"
[split]
kind = "time"
[training]
history = "{history}"
[[features]]
name = "numbers"
kind = "numeric"
columns = ["x", "z"]
[[candidates]]
name = "linear"
algorithm = "{algorithm}"
[evaluation]
primary_metric = "{metric}"
metrics = ["{metric}"]
folds = 3
bootstrap_replicates = 500
"""


def _file(n, *, is_turned, seed, is_regression=False):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    value = (-1 if is_turned else 1) * (x + 0.3 * rng.normal(size=n))
    y = value if is_regression else np.where(value > 0, "up", "down")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["x", "z", "y"])
    writer.writerows(zip(x.tolist(), z.tolist(), y.tolist(), strict=True))
    return out.getvalue().encode()


class _World:
    def __init__(self, *, history="auto", is_regression=False):
        self.is_regression = is_regression
        self.spec = parse_spec(
            _SPEC.format(
                task="regression" if is_regression else "classification",
                algorithm="ridge" if is_regression else "logistic_regression",
                metric="rmse" if is_regression else "accuracy",
                history=history,
            ),
            source="turning.toml",
        )
        self.here = {"artifacts": MemoryArtifacts(), "aliases": MemoryAliases()}
        self.keys = []

    def add(self, n, *, is_turned):
        number = len(self.keys)
        self.keys.append(f"inbox/turning/{number}/b{number}.csv")
        body = _file(n, is_turned=is_turned, seed=number, is_regression=self.is_regression)
        self.here["artifacts"].put(self.keys[-1], body)

    def train(self):
        run_id = f"run-{len(self.keys)}"
        return run_training(self.spec, self.keys, run_id, clock=FixedClock(START), **self.here)

    def prepared(self):
        request = PrepareDatasetRequest("turning", "looked-at", tuple(self.keys))
        found = prepare_dataset(request, spec=self.spec, **self.here)
        rows = [
            read_rows(self.here["artifacts"], "turning", found.dataset_version, part)
            for part in (TRAIN, TEST)
        ]
        return found, rows

    def report(self) -> ValidationReport:
        found, _ = self.prepared()
        manifest = read_dataset_manifest(self.here["artifacts"], "turning", found.dataset_version)
        return manifest.report


@pytest.mark.parametrize("is_regression", [False, True])
def test_rows_from_before_a_change_are_left_out(is_regression):
    """They would teach the opposite; the rows since the change train, and its newest judge."""
    world = _World(is_regression=is_regression)
    world.add(2000, is_turned=False)
    assert world.train().outcome == "ChallengerPromoted"
    world.add(1200, is_turned=False)
    world.add(1000, is_turned=True)
    report = world.report()
    assert abs(report.n_since_change - 1000) < 50
    _, (train, test) = world.prepared()
    assert 150 <= len(test) <= 250
    assert len(train) + len(test) + report.n_outdated == 4200
    assert report.n_outdated >= 3000
    turned = [(row["x"] > 0) != (float(row[TARGET]) > 0) for row in train] if is_regression else [
        (row["x"] > 0) != (row[TARGET] == "up") for row in train
    ]  # fmt: skip
    assert np.mean(turned) > 0.75
    assert world.train().outcome == "ChallengerPromoted"


def test_a_project_may_keep_every_row():
    """The control: on all rows the challenger learns the old relation, and is refused."""
    world = _World(history="all")
    world.add(2000, is_turned=False)
    world.train()
    world.add(1200, is_turned=False)
    world.add(1000, is_turned=True)
    assert world.report().n_outdated == 0
    assert world.train().outcome == "ChallengerRefused"


def test_a_change_at_the_border_of_files_is_seen():
    """All new rows are of the new relation: nothing among them changes."""
    world = _World()
    world.add(2000, is_turned=False)
    world.train()
    world.add(1000, is_turned=True)
    assert world.report().n_since_change == 1000
    assert world.train().outcome == "ChallengerPromoted"


def test_without_a_change_old_rows_stay_and_new_ones_judge():
    """Half of the rows that the champion has not seen, so that the comparison has all it can."""
    world = _World()
    world.add(2000, is_turned=False)
    world.train()
    world.add(1000, is_turned=False)
    found, (train, test) = world.prepared()
    assert world.report().n_since_change is None
    assert world.report().n_outdated == 0
    assert (len(train), len(test)) == (2500, 500)
    assert found.accepted


def test_a_first_training_splits_by_the_fraction():
    """There is no champion to ask."""
    world = _World()
    world.add(2000, is_turned=False)
    _, (train, test) = world.prepared()
    assert (len(train), len(test)) == (1600, 400)


def test_a_champion_that_cannot_be_loaded_leaves_the_usual_split():
    """The comparison will say what is wrong with it; the rows are not to blame."""
    world = _World()
    world.add(2000, is_turned=False)
    world.train()
    world.add(1000, is_turned=True)
    store = world.here["artifacts"]
    bundles = [key for key in store.objects if key.startswith("models/") and "bundle" in key]
    assert bundles
    for key in bundles:
        store.put(key, b"{}")
    _, (train, test) = world.prepared()
    assert (len(train), len(test)) == (2400, 600)


def test_a_class_that_would_be_lost_keeps_its_rows():
    """A model must not lose a class because it has become rare."""
    world = _World()
    world.add(2000, is_turned=False)
    world.train()
    world.add(1000, is_turned=True)
    body = world.here["artifacts"].get(world.keys[0]).decode().splitlines()
    for number in range(1, 60):
        cells = body[number].split(",")
        body[number] = ",".join((*cells[:2], "sideways"))
    world.here["artifacts"].put(world.keys[0], "\n".join(body).encode())
    _, (train, _) = world.prepared()
    assert {row[TARGET] for row in train} == {"up", "down", "sideways"}


def test_inputs_that_come_again_with_another_target_judge():
    """The champion knows them, wrongly: what it was trained on is the row, not its inputs."""
    world = _World()
    world.add(2000, is_turned=False)
    world.train()
    same = world.here["artifacts"].get(world.keys[0]).decode().splitlines()
    turned = same[:1]
    for line in same[1:]:
        x, z, y = line.split(",")
        turned.append(",".join((x, z, "down" if y == "up" else "up")))
    world.keys.append("inbox/turning/1/b1.csv")
    world.here["artifacts"].put(world.keys[-1], "\n".join(turned).encode())
    assert world.train().outcome == "ChallengerPromoted"


def test_a_run_that_is_started_again_splits_as_it_did():
    """Its own promotion must not change what it was evaluated on."""
    world = _World()
    world.add(2000, is_turned=False)
    world.train()
    world.add(1000, is_turned=True)
    first, again = world.train(), world.train()
    assert first.outcome == "ChallengerPromoted"
    assert again.model_version == first.model_version


def test_a_champion_that_cannot_answer_the_rows_leaves_the_usual_split():
    """A number has become a category: the comparison says so, and the rows are split."""
    world = _World()
    world.add(2000, is_turned=False)
    world.train()
    world.spec = parse_spec(
        _SPEC.format(
            task="classification", algorithm="logistic_regression", metric="accuracy",
            history="auto",
        ).replace('z = { type = "number" }', 'z = { type = "category" }')
        .replace('columns = ["x", "z"]', 'columns = ["x"]')
        + """
[[features]]
name = "kinds"
kind = "categorical"
columns = ["z"]
""",
        source="turning.toml",
    )  # fmt: skip
    world.keys.append("inbox/turning/1/b1.csv")
    rows = [f"{n % 7 - 3},k{n % 3},{'up' if n % 7 > 3 else 'down'}" for n in range(1000)]
    world.here["artifacts"].put(world.keys[-1], "\n".join(["x,z,y", *rows]).encode())
    assert world.train().outcome == "ChampionKept"


@pytest.mark.parametrize("seed", range(6))
def test_inputs_that_come_again_do_not_make_a_champion_look_bad(seed):
    """Of few levels, rows come again; those that agree with the champion's count like others."""
    world = _World()
    rng = np.random.default_rng(seed)
    for number in range(2):
        x = rng.integers(0, 30, 1500)
        y = np.where(rng.random(1500) < np.where(x % 2, 0.8, 0.2), "up", "down")
        body = "\n".join(["x,z,y", *(f"{a},{a % 2},{b}" for a, b in zip(x, y, strict=True))])
        world.keys.append(f"inbox/turning/{number}/b{number}.csv")
        world.here["artifacts"].put(world.keys[-1], body.encode())
        run = world.train()
    assert run.outcome == "ChampionKept"
    kept = read_evaluation(world.here["artifacts"], "turning", f"run-{len(world.keys)}")
    assert kept.against_champion.other > 0.75
    assert kept.n_unseen == kept.n_test
