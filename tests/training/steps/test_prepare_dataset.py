"""Which rows train and judge once there is a champion, and time splits them."""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from noria.data.validation import TARGET
from noria.data.versions import read_dataset_manifest, read_rows
from noria.evaluation.runs import read_evaluation
from noria.records.dataset import ValidationReport
from noria.spec.features import CategoricalFeature
from noria.storage.keys import TEST, TRAIN
from noria.training import history
from tests.support.streams import Stream, as_csv, stream_spec


class _Turning(Stream):
    """A relation that may turn round."""

    def __init__(self, *, is_regression=False, keeps_all=False):
        kept = {"training": 'history = "all"'} if keeps_all else {}
        algorithm = "ridge" if is_regression else "logistic_regression"
        super().__init__(stream_spec(algorithm, "rmse" if is_regression else "accuracy", **kept))
        self.is_regression = is_regression

    def add(self, n, *, is_turned):
        rng = np.random.default_rng(len(self.keys))
        x, z = rng.normal(size=(2, n))
        value = (-1 if is_turned else 1) * (x + 0.3 * rng.normal(size=n))
        y = value if self.is_regression else np.where(value > 0, "up", "down")
        self.put(as_csv("x,z,y", x, z, y))

    def split(self):
        """Return (training rows, test rows) that all files would have now."""
        version = self.prepared().dataset_version
        return [read_rows(self.store, "stream", version, part) for part in (TRAIN, TEST)]

    def report(self) -> ValidationReport:
        version = self.prepared().dataset_version
        return read_dataset_manifest(self.store, "stream", version).report


@cache
def _trained(**settings):
    world = _Turning(**settings)
    world.add(2000, is_turned=False)
    assert world.train().outcome == "ChallengerPromoted"
    return world


def _served(**settings):
    """Return a project whose champion was trained on 2,000 rows."""
    return _trained(**settings).copied()


@pytest.mark.parametrize("is_regression", [False, True])
def test_rows_from_before_a_change_are_left_out(is_regression):
    """They would teach the opposite; the rows since the change train, and its newest judge."""
    world = _served(is_regression=is_regression)
    world.add(1200, is_turned=False)
    world.add(1000, is_turned=True)
    report = world.report()
    assert abs(report.n_since_change - 1000) < 50
    train, test = world.split()
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
    world = _served(keeps_all=True)
    world.add(1200, is_turned=False)
    world.add(1000, is_turned=True)
    assert world.report().n_outdated == 0
    assert world.train().outcome == "ChallengerRefused"


def test_a_change_at_the_border_of_files_is_seen():
    """All new rows are of the new relation: nothing among them changes."""
    world = _served()
    world.add(1000, is_turned=True)
    assert world.report().n_since_change == 1000
    assert world.train().outcome == "ChallengerPromoted"


def test_without_a_change_old_rows_stay_and_new_ones_judge():
    """Half of the rows that the champion has not seen, so that the comparison has all it can."""
    world = _served()
    world.add(1000, is_turned=False)
    train, test = world.split()
    assert world.report().n_since_change is None
    assert world.report().n_outdated == 0
    assert (len(train), len(test)) == (2500, 500)


def test_a_first_training_splits_by_the_fraction():
    """There is no champion to ask."""
    world = _Turning()
    world.add(2000, is_turned=False)
    train, test = world.split()
    assert (len(train), len(test)) == (1600, 400)


def test_a_champion_that_cannot_be_loaded_leaves_the_usual_split():
    """The comparison will say what is wrong with it; the rows are not to blame."""
    world = _served()
    world.add(1000, is_turned=True)
    bundles = [k for k in world.store.objects if k.startswith("models/") and "bundle" in k]
    assert bundles
    for key in bundles:
        world.store.put(key, b"{}")
    train, test = world.split()
    assert (len(train), len(test)) == (2400, 600)


def test_a_class_that_would_be_lost_keeps_its_rows(monkeypatch):
    """A model must not lose a class because it has become rare; the control loses it."""
    world = _Turning()
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 2000))
    y = np.where(x > 0, "up", "down")
    y = np.where(np.arange(2000) < 60, "sideways", y.astype("<U8"))
    world.put(as_csv("x,z,y", x, z, y))
    world.train()
    world.add(1000, is_turned=True)

    def classes():
        return {row[TARGET] for row in world.split()[0]}

    assert classes() == {"up", "down", "sideways"}
    monkeypatch.setattr(history, "_has_all_classes", lambda *_: True)
    world.store.objects = {k: v for k, v in world.store.objects.items() if "looked-at" not in k}
    assert classes() == {"up", "down"}


def test_inputs_that_come_again_with_another_target_judge():
    """The champion knows them, wrongly: what it was trained on is the row, not its inputs."""
    world = _served()
    header, *same = world.store.get(world.keys[0]).decode().splitlines()
    turned = [line.replace("up", "?").replace("down", "up").replace("?", "down") for line in same]
    assert turned != same
    world.put("\n".join((header, *turned)).encode())
    assert world.train().outcome == "ChallengerPromoted"


def test_a_run_that_is_started_again_splits_as_it_did():
    """Its own promotion must not change what it was evaluated on."""
    world = _served()
    world.add(1000, is_turned=True)
    first, again = world.train(), world.train()
    assert first.outcome == "ChallengerPromoted"
    assert again.model_version == first.model_version


def test_a_champion_that_cannot_answer_the_rows_leaves_the_usual_split():
    """A number has become a category: the comparison says so, and the rows are split."""
    world = _served()
    x, z = np.arange(1000) % 7 - 3, [f"k{n % 3}" for n in range(1000)]
    world.put(as_csv("x,z,y", x, z, np.where(x > 0, "up", "down")))
    kind = world.spec.dataset.columns["z"].model_copy(update={"type": "category"})
    columns = {**world.spec.dataset.columns, "z": kind}
    (numbers,) = world.spec.features
    kinds = CategoricalFeature(name="kinds", kind="categorical", columns=("z",))
    features = (numbers.model_copy(update={"columns": ("x",)}), kinds)
    dataset = world.spec.dataset.model_copy(update={"columns": columns})
    world.spec = world.spec.model_copy(update={"dataset": dataset, "features": features})
    assert world.train().outcome == "ChampionKept"


@pytest.mark.parametrize("seed", range(6))
def test_inputs_that_come_again_do_not_make_a_champion_look_bad(seed):
    """Of few levels, rows come again; those that agree with the champion's count like others."""
    world = _Turning()
    rng = np.random.default_rng(seed)
    for _ in range(2):
        x = rng.integers(0, 30, 1500)
        y = np.where(rng.random(1500) < np.where(x % 2, 0.8, 0.2), "up", "down")
        world.put(as_csv("x,z,y", x, x % 2, y))
        run = world.train()
    assert run.outcome == "ChampionKept"
    kept = read_evaluation(world.store, "stream", world.run_id)
    assert kept.against_champion.other > 0.75
    assert kept.n_unseen == kept.n_test


def _windowed(sizes, max_rows):
    """Return {part: rows of each file} of a window of five files; `z` is the file's number."""
    lines = f"window_files = 5\nmax_rows = {max_rows}"
    world = Stream(stream_spec(dataset=lines, training='history = "all"'))
    for number, n in enumerate(sizes):
        x = np.random.default_rng(number).normal(size=n)
        world.put(as_csv("x,z,y", x, [number] * n, np.where(x > 0, "up", "down")))
    version = world.prepared().dataset_version
    parts = {part: read_rows(world.store, "stream", version, part) for part in (TRAIN, TEST)}
    return {part: Counter(int(row["z"]) for row in rows) for part, rows in parts.items()}


def test_a_window_of_large_files_takes_the_same_number_of_rows_of_each_and_the_newest_judges():
    """The limit came first: of five files of 65,000 rows the newest alone trained and tested."""
    found = _windowed([65_000] * 6, 60_000)
    assert found == {TRAIN: dict.fromkeys((1, 2, 3, 4), 12_000), TEST: {5: 12_000}}


def test_small_files_of_a_window_are_taken_whole():
    """What one leaves of its share stays unused: no file weighs more than another could."""
    found = _windowed([300, 100, 1000, 1000, 1000], 2000)
    assert found[TRAIN] + found[TEST] == {0: 300, 1: 100, 2: 400, 3: 400, 4: 400}
