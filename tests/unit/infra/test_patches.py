import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from ministack.core import iam_evaluator, lambda_runtime
from ministack.services import apigateway_v1, lambda_svc, secretsmanager, stepfunctions
from ministack.services.cloudformation import provisioners

from infra.local import patches
from infra.local.authorizers import take_keys_from_authorizers
from infra.local.meter import Meter
from infra.local.secret_names import refer_to_secrets_by_arn


def test_another_worker_script_is_refused(monkeypatch):
    """A silent no-op would make Retry and Catch by name useless again."""
    monkeypatch.setattr(lambda_runtime, "_PYTHON_WORKER_SCRIPT", "print('new')")
    with pytest.raises(RuntimeError, match="error line"):
        patches.report_error_names()


def test_other_signatures_are_refused(monkeypatch, tmp_path):
    """The patched functions are private; their shape is all we know of them."""
    monkeypatch.setattr(lambda_svc, "_resolve_layer_zip", lambda renamed: b"")
    with pytest.raises(RuntimeError, match="parameters of <lambda>"):
        patches.mount_layers_once(tmp_path)
    monkeypatch.setattr(apigateway_v1, "_check_api_key", lambda renamed: None)
    with pytest.raises(RuntimeError, match="parameters of <lambda>"):
        take_keys_from_authorizers()


def test_a_wait_ends_when_the_simulated_time_is_over(monkeypatch, tmp_path):
    """An hour of the simulation takes a moment; without a clock file MiniStack waits itself."""
    clock = tmp_path / "clock"
    monkeypatch.setattr(
        stepfunctions, "_jsonata_wait_seconds", lambda state_def, raw_input, ctx: 3600
    )
    patches.wait_on_simulated_time(clock)
    wait = stepfunctions._jsonata_wait_seconds
    assert wait({}, {}, None) == 3600
    looked, read = threading.Semaphore(0), patches._simulated

    def seen(path):
        found = read(path)
        looked.release()
        return found

    monkeypatch.setattr(patches, "_simulated", seen)
    done = []
    thread = threading.Thread(target=lambda: done.append(wait({}, {}, None)))
    for at in ("2026-03-01T00:00:00+00:00", "2026-03-01T00:59:00+00:00"):
        partial = tmp_path / "next"
        partial.write_text(at)
        partial.replace(clock)  # never half of it
        if not thread.is_alive():
            thread.start()
        for _ in range(3):  # once may have been before the change
            assert looked.acquire(timeout=30.0)
        assert not done
    clock.write_text("2026-03-01T01:00:00+00:00")
    thread.join(timeout=30.0)
    assert done == [0]


def test_another_wait_is_refused(monkeypatch, tmp_path):
    """Its shape is all we know of it."""
    monkeypatch.setattr(stepfunctions, "_jsonata_wait_seconds", lambda state: 1)
    with pytest.raises(RuntimeError, match="parameters of <lambda>"):
        patches.wait_on_simulated_time(tmp_path / "clock")


@pytest.mark.parametrize("service", ["sagemaker:createTrainingJob", "glue:startJobRun"])
def test_an_emulator_that_runs_jobs_itself_is_refused(monkeypatch, service):
    """Ours would hide its own."""
    arn = f"arn:aws:states:::{service}"
    monkeypatch.setattr(stepfunctions, "_SERVICE_DISPATCH", {arn: None})
    patch = {"sagemaker": patches.run_training_jobs, "glue": patches.run_glue_jobs}
    with pytest.raises(RuntimeError, match="MiniStack has changed"):
        patch[service.partition(":")[0]]()


def test_an_execution_that_takes_too_long_is_timed_out_and_stays_so(monkeypatch):
    """Its limit is the machine's; what the state at work says afterwards changes nothing."""
    told, release = [], threading.Event()
    execution = {"status": "RUNNING", "stateMachineArn": "m"}
    machine = {"definition": '{"TimeoutSeconds": 0.01}'}
    monkeypatch.setattr(stepfunctions, "_executions", {"e": execution})
    monkeypatch.setattr(stepfunctions, "_state_machines", {"m": machine})
    monkeypatch.setattr(stepfunctions, "_add_event", lambda *_: None)

    def emit(found):
        told.append(found["status"])
        release.set()

    def run(exec_arn):
        assert release.wait(timeout=30.0)
        stepfunctions._fail_execution(execution, "Late", "after the limit")

    def fail(execution, error, cause):
        execution["status"] = "FAILED"

    monkeypatch.setattr(stepfunctions, "_emit_execution_status_event", emit)
    monkeypatch.setattr(stepfunctions, "_run_execution", run)
    monkeypatch.setattr(stepfunctions, "_fail_execution", fail)
    patches.time_executions_out()
    stepfunctions._run_execution("e")
    assert (execution["status"], told) == ("TIMED_OUT", ["TIMED_OUT"])
    in_time = {"status": "RUNNING", "stateMachineArn": "m"}
    stepfunctions._fail_execution(in_time, "Early", "before the limit")
    assert in_time["status"] == "FAILED"


def test_a_worker_that_needs_more_memory_than_its_function_has_is_killed(monkeypatch):
    """As a sandbox is; one with enough memory, and what is no worker, go on."""
    script = "import sys; block = bytearray(96 << 20); print(flush=True); sys.stdin.read()"
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1) for _ in range(3)
    ]
    try:
        for process in processes:
            assert process.stdout.readline()
        small, large, foreign = processes
        pool = [
            SimpleNamespace(_proc=small, config={"MemorySize": 64}),
            SimpleNamespace(_proc=large, config={"MemorySize": 1024}),
            SimpleNamespace(_proc=None, config={"MemorySize": 64}),  # not started yet
        ]
        monkeypatch.setattr(lambda_runtime, "_workers", {"f": pool})
        patches.kill_beyond_memory()
        assert small.wait(timeout=30.0) == -signal.SIGKILL
        patches.kill_beyond_memory()  # what has ended is no more looked at
        assert (large.poll(), foreign.poll()) == (None, None)
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_an_emulator_with_another_pool_of_workers_is_refused(monkeypatch):
    """Its workers would be without a limit, unseen."""
    monkeypatch.setattr(lambda_runtime, "_workers", [])
    with pytest.raises(RuntimeError, match="the pool of workers"):
        patches.end_workers_without_memory()


def test_an_emulator_that_checks_rights_in_another_way_is_refused(monkeypatch, tmp_path):
    """Else no call would be held against its role, unseen."""
    monkeypatch.setattr(iam_evaluator, "enforce", lambda key, action: None)
    with pytest.raises(RuntimeError, match="parameters of <lambda>"):
        patches.check_rights_of_functions(tmp_path / "calls.jsonl", Meter(tmp_path / "m.json"))


def test_a_reference_to_a_secret_is_its_arn(monkeypatch):
    """A role's right on its name would grant nothing."""
    made = []
    handlers = {
        "create": lambda logical_id, props, stack_name: ("name", {"Arn": "arn:x"}),
        "update": lambda physical_id, *rest: made.append(physical_id) or ("name", {"Arn": "arn:x"}),
        "delete": lambda physical_id, props: made.append(physical_id),
        "update_with_logical_id": True,
    }
    monkeypatch.setitem(provisioners._RESOURCE_HANDLERS, "AWS::SecretsManager::Secret", handlers)
    monkeypatch.setattr(
        secretsmanager, "_resolve", lambda arn: ("name", {}) if arn == "arn:x" else None
    )
    refer_to_secrets_by_arn()
    assert handlers["create"]("l", {}, "s") == ("arn:x", {"Arn": "arn:x"})
    assert handlers["update"]("arn:x", {}, {}, "s")[0] == "arn:x"
    handlers["delete"]("arn:x", {})
    assert made == ["name", "name"]
