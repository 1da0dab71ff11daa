"""Every benchmark runs to its end, on sizes of seconds; their figures mean nothing."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from infra.names import ROOT
from tests.benchmarks import scale
from tests.benchmarks.data import DATA
from tests.support.spark import needs_spark

RESULT = {"name", "value", "unit", "peer", "peer_value", "ratio", "goal", "holds"}
NEEDS_DATA = pytest.mark.skipif(
    not DATA.exists(), reason="needs the development data: set NORIA_DATA to its folder"
)


def _run(name, results):
    """Run a benchmark as `make` does, at its smallest size; return what it wrote."""
    path = ROOT / "build" / "smoke" / results
    path.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{name}"],
        cwd=ROOT, env={**os.environ, "NORIA_BENCH": "smoke"}, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("name", "results", "n_least"),
    [("serving", "bench.json", 8), ("joins", "joins.json", 1), ("batch", "batch.json", 6),
     ("texts", "texts.json", 10), ("soak", "soak.json", 5), pytest.param("spark", "spark.json", 3, marks=needs_spark)],
    ids=["serving", "joins", "batch", "texts", "soak", "spark"],
)  # fmt: skip
def test_a_benchmark_with_goals_writes_each_result_with_its_peer(name, results, n_least):
    """Name, value, unit, peer, ratio, goal: what the table in the documents shows."""
    found = _run(name, results)
    assert len(found) >= n_least
    assert all(set(result) == RESULT for result in found)


@NEEDS_DATA
def test_drift_writes_pairs_false_alarms_delay_and_sizes():
    """All six parts of the table."""
    found = _run("drift", "drift.json")
    assert set(found) == {"pairs", "halves", "files", "false_alarms", "delay", "ten_million"}
    assert not found["files"]["missed"]
    assert all(pair["is_right"] for pair in found["pairs"])
    assert found["false_alarms"]["Noria"] == 0


@NEEDS_DATA
def test_judgement_writes_each_block_under_three_policies():
    """One stream, three blocks: train, answer, label, check, train again."""
    (found,) = _run("judgement", "judgement.json")
    assert {"name", "metric", "blocks", "noria", "never", "every", "triggered"} <= set(found)
    assert len(found["blocks"]) == 2
    assert all(0.0 <= block["noria"] <= 1.0 for block in found["blocks"])


@NEEDS_DATA
def test_files_write_what_became_of_each_month():
    """Two months after the first: scored, compared, labelled, decided on."""
    found = _run("file_loop", "files.json")
    assert [month["file"] for month in found] == ["p2", "p3"]
    for month in found:
        assert (month["outcome"], month["health"]) == ("held", "unhealthy")
        assert month["drifted"]
        assert abs(month["realised"] - month["with_loop"]) < 1e-9  # by labels, and row by row


@NEEDS_DATA
def test_quality_writes_each_metric_beside_its_baseline():
    """One set, all folds."""
    found = _run("quality", "quality.json")
    scores, decisions = found["scores"], found["decisions"]
    assert {score["metric"] for score in scores} == {"f1_macro", "accuracy"}
    assert all({"ours", "required", "interval", "holds"} <= set(score) for score in scores)
    assert all({"ours", "most_probable", "commonest"} <= set(one) for one in decisions)
    (shift,) = found["prior_shift"]
    assert shift["corrected"] > 0.0
    assert shift["kept"] > 0.0


@NEEDS_DATA
def test_estimates_write_how_many_windows_are_covered():
    """Each metric of one set, with its direction under drift."""
    found = _run("estimates", "estimates.json")
    assert {result["metric"] for result in found} == {"roc_auc", "accuracy"}
    assert all(0.0 <= result["covered"] <= 1.0 for result in found)


def test_probation_writes_both_rules_for_each_loss():
    """Taken back, and after how many hours."""
    found = _run("probation", "probation.json")
    assert {"points", "rule", "share", "median_hours", "n"} == set(found[0])
    assert len(found) == 12
    by = {(one["points"], one["rule"]): one["share"] for one in found}
    assert by[5.0, "evidence"] == 1.0
    assert by[-2.0, "evidence"] == 0.0


def test_training_writes_both_sides_of_a_search():
    """CPU seconds and the best score of each."""
    found = _run("training", "training.json")
    (row,) = found["candidates"]
    assert set(row) == {"candidate", "noria", "usual"}
    assert found["n_trials"] == 2


def test_the_model_on_paper_reads_what_the_other_two_measured(monkeypatch, tmp_path, capsys):
    """Rows a second in, hours and dollars out."""
    measured = {
        "batch.json": {f"{name}: a row": 4e-6 for name in (
            "customers, logistic_regression", "customers, xgboost", "tickets, logistic_regression",
        )},
        "spark.json": {scale.ANALYSIS: 38.0},
    }  # fmt: skip
    for name, values in measured.items():
        listed = [{"name": key, "value": value} for key, value in values.items()]
        (tmp_path / name).write_text(json.dumps(listed))
    monkeypatch.setattr(scale, "results_file", lambda name: tmp_path / name)
    scale.main()
    assert "dollars a day" in capsys.readouterr().out


def test_every_benchmark_has_a_smoke():
    """A new one is named here, or it breaks unseen."""
    smoked = {
        "serving",
        "joins",
        "batch",
        "spark",
        "drift",
        "quality",
        "estimates",
        "judgement",
        "training",
        "scale",
        "texts",
        "file_loop",
        "probation",
        "soak",
        "cost",  # in tests/integration/test_runs.py: it needs a deployed stage
        "load",  # in tests/integration/test_wheel.py: it needs a deployed stage
    }
    helpers = {
        "batch_ours", "children", "data", "drift_pairs", "models", "report", "size", "stores",
        "test_smoke", "test_cost",
    }  # fmt: skip
    modules = {path.stem for path in (ROOT / "tests" / "benchmarks").glob("[a-z]*.py")}
    assert modules == smoked | helpers
    assert all(importlib.util.find_spec(f"tests.benchmarks.{name}") for name in smoked)
