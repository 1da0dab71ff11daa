"""Each step of a training is killed in turn on the embedded emulator, and the run started again."""

import os
import signal
import time
from contextlib import suppress

from cli.training import new_run_id
from infra.constructs.steps import STEPS
from infra.names import ROOT
from noria.evaluation.runs import read_selection
from noria.registry.versions import verify_version
from noria.reporting.words import failed_candidates_text
from tests.support.stages import workers_of
from tests.support.wheel import PROJECT, noisy_rows, rows, train

_TEXT = (ROOT / "statemachines" / "training.asl.json").read_text(encoding="utf-8")
REPORT = "write_training_report"
_QUIET_SECONDS = 5.0
TRAINING = [
    step
    for step in STEPS
    if step not in ("raise_alert", "recalibrate_champion")  # no states of such a run
    and "${" + "".join(word.capitalize() for word in step.split("_")) + "Function}" in _TEXT
]


def test_a_run_whose_steps_are_killed_one_after_another_leaves_nothing_half_and_completes(target):
    """Started again with the same input after each kill, it passes that step and dies in another.

    Each process hangs, then dies, as one whose machine is gone. A step that was not killed would
    let the run end too early. The report is killed last: it costs no model, so that run ends.
    """
    champion = train(target, noisy_rows()).output["model_version"]  # warms the functions too
    files, run_id, before = rows(600, seed=2, noise=0.0), new_run_id(), target.aliases.read(PROJECT)
    killed = []
    for step in (*(step for step in TRAINING if step != REPORT), REPORT):
        end = train(target, files, run_id=run_id, follow=_killing(target, step, killed))
        assert killed[-1:] == [step]
        assert end.status == ("SUCCEEDED" if step == REPORT else "FAILED"), step
        for version in _versions(target, run_id):
            verify_version(target.artifacts, PROJECT, version)
        if step != REPORT:
            assert target.aliases.read(PROJECT) == before, step
    assert len(killed) == len(TRAINING) == 12
    assert (end.output["outcome"], end.output["report"]) == ("ChallengerPromoted", None)
    version = end.output["model_version"]
    # The version that was evaluated, and the refit that serves.
    assert len(_versions(target, run_id)) == 2
    assert version in _versions(target, run_id)
    record = target.aliases.read(PROJECT)
    assert (record.champion, record.previous_champion) == (version, champion)
    # One promotion, and what begins the probation.
    kinds = [entry.kind for entry in target.aliases.history(PROJECT)]
    assert kinds[: record.revision - before.revision] == ["shadow", "training"]
    again = train(target, files, run_id=run_id)
    assert again.output == {**end.output, "report": again.output["report"]}
    assert again.output["report"]
    assert target.aliases.read(PROJECT) == record


def test_a_candidate_whose_process_dies_leaves_the_others(target):
    """One of several; the run says which, and why."""
    killed, run_id = [], new_run_id()
    follow = _killing(target, "train_candidate", killed, n_processes=1)
    end = train(target, noisy_rows(), run_id=run_id, follow=follow)
    assert (end.status, killed) == ("SUCCEEDED", ["train_candidate"])
    selection = read_selection(target.artifacts, PROJECT, run_id)
    ((name, error),) = selection.errors.items()
    assert (name in selection.failed, error) == (True, "Runtime.ExitError")
    assert selection.candidates
    assert "memory" in failed_candidates_text(selection)


def _killing(target, step, killed, n_processes=None):
    """Return what kills the processes of a step, or some of them, when its state is entered."""
    state = "TrainCandidates" if step == "train_candidate" else _pascal(step)
    workers = workers_of(target.emulator.folder, step)[:n_processes]
    assert workers, step
    _signal(workers, signal.SIGSTOP)

    def kill(entered, what, _):
        if (entered, what) == (state, "started"):
            time.sleep(0.2)
            _signal(workers, signal.SIGKILL)
            if step == "train_candidate" and n_processes is None:
                _kill_those_that_waited(target, step, set(workers))
            killed.append(step)

    return kill


def _kill_those_that_waited(target, step, dead):
    """Kill the process of each other candidate, which starts when a worker's place is free.

    The emulator ends a function's other processes with one that died, so they cannot be counted:
    none is left once no new one has come for a while. A candidate takes longer than a look.
    """
    last = time.monotonic()
    while time.monotonic() - last < _QUIET_SECONDS:
        started = set(workers_of(target.emulator.folder, step)) - dead
        if started:
            _signal(started, signal.SIGKILL)
            dead |= started
            last = time.monotonic()
        time.sleep(0.02)


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
        with suppress(ProcessLookupError):  # one of several that had nothing to do and ended
            os.kill(pid, number)
