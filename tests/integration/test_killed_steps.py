"""Each step of a training is killed in turn on the embedded emulator, and the run started again."""

import os
import signal
import time

import pytest

from cli.training import new_run_id
from infra.config import ROOT
from infra.constructs.steps import STEPS
from noria.registry.versions import verify_version
from tests.support.stages import workers_of
from tests.support.wheel import PROJECT, noisy_rows, promote, rows, train

_TEXT = (ROOT / "statemachines" / "training.asl.json").read_text(encoding="utf-8")
TRAINING = [
    step
    for step in STEPS
    if step != "raise_alert"
    and "${" + "".join(word.capitalize() for word in step.split("_")) + "Function}" in _TEXT
]


@pytest.fixture(scope="module")
def first(target):
    """A champion of few and noisy rows."""
    return train(target, noisy_rows())


@pytest.mark.parametrize("step", TRAINING)
def test_a_step_whose_process_is_killed_leaves_nothing_half_and_the_same_input_completes_the_run(
    target, first, step
):
    """Each step in turn: its process hangs, then dies; the execution is started again."""
    champion = first.output["model_version"]
    promotes = step == "promote_challenger"
    files = rows(900, seed=2, noise=0.0) if promotes else noisy_rows()
    run_id, before = new_run_id(), target.aliases.read(PROJECT)
    workers = workers_of(target.emulator.folder, step)
    assert workers
    _signal(workers, signal.SIGSTOP)
    state = "TrainCandidates" if step == "train_candidate" else _pascal(step)

    def kill(entered, what, _):
        if (entered, what) == (state, "started"):
            time.sleep(0.2)
            _signal(workers, signal.SIGKILL)

    end = train(target, files, run_id=run_id, follow=kill)
    assert end.status == ("SUCCEEDED" if step == "write_training_report" else "FAILED")
    assert target.aliases.read(PROJECT) == before
    again = train(target, files, run_id=run_id)
    assert again.output["outcome"] == ("ChallengerPromoted" if promotes else "ChampionKept")
    assert _versions(target, run_id) == {again.output["model_version"]}
    verify_version(target.artifacts, PROJECT, again.output["model_version"])
    assert target.aliases.read(PROJECT).revision == before.revision + promotes
    if promotes:
        assert train(target, files, run_id=run_id).output == again.output
        promote(target, champion)  # as the other tests expect it


def _pascal(step):
    return "".join(word.capitalize() for word in step.split("_"))


def _versions(target, run_id):
    """Return the registered versions of a run: those with a manifest."""
    found = target.client("s3").list_objects_v2(
        Bucket=target.outputs["DataBucket"], Prefix=f"models/{PROJECT}/{run_id}"
    )
    keys = [item["Key"] for item in found.get("Contents", [])]
    return {key.split("/")[2] for key in keys if key.endswith("/manifest.json")}


def _signal(workers: list[int], number: signal.Signals) -> None:
    for pid in workers:
        os.kill(pid, number)
