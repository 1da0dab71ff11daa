"""What the pinned MiniStack lacks of AWS and Noria needs: sixteen patches, each named after it.

Every patch asserts the text or signature it replaces, so another MiniStack fails at start instead
of behaving differently (`tests/unit/infra/test_patches.py`). What they restore is tested on the
running emulator in `tests/integration/test_wheel.py`.
"""

import hashlib
import inspect
import io
import json
import os
import shutil
import time
import zipfile
from contextlib import suppress
from contextvars import copy_context
from datetime import datetime
from pathlib import Path
from threading import Lock, Thread, Timer
from typing import Any

from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import lambda_svc, stepfunctions

from infra.local.authorizers import take_keys_from_authorizers
from infra.local.emulator import HOST
from infra.local.expressions import compute_timeouts, map_over_computed_items, note_expressions
from infra.local.glue_jobs import GlueJobError, run_glue_job
from infra.local.limits import pack_log_records, queue_for_workers
from infra.local.meter import FILE as METER_FILE
from infra.local.meter import Meter, meter_functions
from infra.local.pinned import require, require_parameters
from infra.local.secret_names import refer_to_secrets_by_arn
from infra.local.training_jobs import TrainingJobError, run_training_job

_ERROR = "__lambda_error__"
_DIED = ("Worker process died", "Worker process exited immediately")  # while at work, at start
_POLL_SECONDS = 0.02
_MEMORY_SECONDS = 0.1
_MOST_CALLS = 50_000  # noted of one emulator


def apply(layers_folder: Path, state: Path) -> None:
    """Apply every patch.

    Parameters
    ----------
    layers_folder : Path
        Where layers are unzipped once, by content; emulators may share it.
    state : Path
        The emulator's folder. `clock` in it holds the simulated time while there is one;
        `calls.jsonl` gets a line for each call that a function's role made (role, action,
        resource), `expressions.jsonl` one for each shape of input of a state machine's expression.
    """
    report_error_names()
    take_keys_from_authorizers()
    refer_to_secrets_by_arn()
    mount_layers_once(layers_folder)
    wait_on_simulated_time(state / "clock")
    time_executions_out()
    map_over_computed_items()
    compute_timeouts()
    end_workers_without_memory()
    meter = meter_functions(state / METER_FILE)  # before they queue: waiting is not billed
    check_rights_of_functions(state / "calls.jsonl", meter)
    run_training_jobs()
    run_glue_jobs()
    queue_for_workers()
    pack_log_records()
    note_expressions(state / "expressions.jsonl")


def report_error_names() -> None:
    """AWS: a failed invocation reports the exception's class as errorType and keeps the sandbox.

    A sandbox that dies is a `Runtime.ExitError`.

    MiniStack reports `Runtime.HandlerError` for all and kills the worker, so Retry and Catch by
    name never match.
    """
    stock = (
        '_real_stdout.write(json.dumps({"status": "error", "error": str(e), '
        '"trace": traceback.format_exc()}) + "\\n")'
    )
    named = (
        f'_real_stdout.write(json.dumps({{"status": "ok", "result": {{"{_ERROR}": '
        '{"errorType": type(e).__name__, "errorMessage": str(e), '
        '"stackTrace": traceback.format_exc().splitlines()}}}) + "\\n")'
    )
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    require(script.count(stock) == 1, "the Python worker's error line")
    source = inspect.getsource(lambda_runtime)
    require(all(f'"{text}' in source for text in _DIED), "what a dead worker is called")
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(stock, named)
    execute = lambda_svc._execute_function_warm
    require_parameters(execute, ["func", "event", "request_id"])

    def with_error_name(func: Any, event: Any, request_id: str) -> Any:
        result = execute(func, event, request_id)
        body = result.get("body")
        if isinstance(body, dict) and set(body) == {_ERROR}:
            return {**result, "body": body[_ERROR], "error": True}
        if isinstance(body, dict) and str(body.get("errorMessage")).startswith(_DIED):
            return {**result, "body": {**body, "errorType": "Runtime.ExitError"}}
        return result

    lambda_svc._execute_function_warm = with_error_name


def mount_layers_once(folder: Path) -> None:
    """AWS: layers are mounted under /opt; they are not unzipped for every new sandbox.

    MiniStack unzips each layer again for each worker (5 s for the training layer). Here a layer
    is unzipped once by content, and workers get a path to it instead.
    """
    resolve = lambda_svc._resolve_layer_zip
    require_parameters(resolve, ["attachment"])
    pointers: dict[str, bytes] = {}
    lock = Lock()

    def pointer(attachment: Any) -> bytes | None:
        arn = attachment if isinstance(attachment, str) else attachment.get("Arn", "")
        with lock:
            if arn not in pointers:
                content = resolve(attachment)
                if not content:
                    return None
                pointers[arn] = _pointer_zip(_unzipped(content, folder) / "python")
            return pointers[arn]

    lambda_svc._resolve_layer_zip = pointer


def wait_on_simulated_time(clock_file: Path) -> None:
    """AWS: Wait states wait in the time that everything else lives in.

    While `noria simulate` sets the time, a Wait of an hour ends when the simulated hour is over.
    Without a clock file MiniStack waits as ever.
    """
    stock = stepfunctions._jsonata_wait_seconds
    require_parameters(stock, ["state_def", "raw_input", "ctx"])

    def waited(state_def: Any, raw_input: Any, ctx: Any) -> Any:
        seconds = stock(state_def, raw_input, ctx)
        start = _simulated(clock_file)
        if start is None:
            return seconds
        while (now := _simulated(clock_file)) is not None:
            if (now - start).total_seconds() >= seconds:
                break
            time.sleep(_POLL_SECONDS)
        return 0

    stepfunctions._jsonata_wait_seconds = waited


def time_executions_out() -> None:
    """AWS: an execution is TIMED_OUT after its machine's `TimeoutSeconds`, and stays so.

    MiniStack reads the limits of tasks only. The state that is at work ends; no other is entered.
    """
    run, fail = stepfunctions._run_execution, stepfunctions._fail_execution
    require_parameters(run, ["exec_arn"])
    require_parameters(fail, ["execution", "error", "cause"])

    def time_out(execution: Any) -> None:
        if execution["status"] == "RUNNING":
            execution["status"] = "TIMED_OUT"
            execution["stopDate"] = stepfunctions.now_iso()
            stepfunctions._add_event(execution, "ExecutionTimedOut", {})
            stepfunctions._emit_execution_status_event(execution)

    def run_in_time(exec_arn: str) -> None:
        execution = stepfunctions._executions[exec_arn]
        machine = stepfunctions._state_machines[execution["stateMachineArn"]]
        seconds = json.loads(machine["definition"])["TimeoutSeconds"]
        # The account and region of the request are in the context.
        timer = Timer(seconds, copy_context().run, [time_out, execution])
        timer.daemon = True
        timer.start()
        try:
            run(exec_arn)
        finally:
            timer.cancel()

    def fail_if_running(execution: Any, error: str, cause: str) -> None:
        if execution["status"] == "RUNNING":
            fail(execution, error, cause)

    stepfunctions._run_execution = run_in_time
    stepfunctions._fail_execution = fail_if_running


def end_workers_without_memory() -> None:
    """AWS: a sandbox that needs more memory than its function has is killed.

    MiniStack lets it grow. Here a thread looks ten times a second, where there is a /proc.
    """
    require(isinstance(lambda_runtime._workers, dict), "the pool of workers")
    names = inspect.getsource(lambda_runtime.Worker.__init__)
    require("self.config" in names and "self._proc" in names, "what a worker knows of itself")

    def watch() -> None:
        while True:
            time.sleep(_MEMORY_SECONDS)
            kill_beyond_memory()

    if Path("/proc/self/statm").exists():
        Thread(target=watch, daemon=True).start()


def kill_beyond_memory() -> None:
    """Kill the workers whose resident memory is beyond their function's."""
    with lambda_runtime._lock:
        workers = [worker for pool in lambda_runtime._workers.values() for worker in pool]
    for worker in workers:
        process = worker._proc
        if process is None or process.poll() is not None:
            continue
        with suppress(OSError):  # it has ended
            if _resident_bytes(process.pid) > int(worker.config.get("MemorySize", 128)) * 2**20:
                process.kill()


def _resident_bytes(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def check_rights_of_functions(calls_file: Path, meter: Meter) -> None:
    """AWS: a call is refused unless the caller's role allows it.

    MiniStack evaluates policies on request only (the emulator asks for it), and then those of the
    roles that the CDK command takes too, which here have none. Here the roles of all others are
    evaluated, with the condition key of a conditional write, which MiniStack does not know.
    """
    calls_file.unlink(missing_ok=True)  # of an emulator that ran before
    stock = iam_evaluator.enforce
    require_parameters(iam_evaluator.pin_request_origin, ["source_ip", "secure_transport"])
    names = ["access_key_id", "iam_action", "service", "region", "resource_arn", "service_context"]
    require_parameters(stock, names)

    noted: set[tuple[str, str, str]] = set()
    lock = Lock()

    def note(role: str, action: str, resource: str) -> None:
        call = (role, action, resource)
        with lock:
            if call not in noted and len(noted) < _MOST_CALLS:
                noted.add(call)
                with calls_file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(call) + "\n")

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: Any = None,
    ) -> Any:
        caller = iam_evaluator.resolve_caller_identity(access_key_id) or {}
        _, _, session = str(caller.get("userArn")).partition(":assumed-role/")
        if session.startswith("cdk-"):
            return None
        if session:
            note(session.partition("/")[0], iam_action, resource_arn)
            meter.note_call(session.partition("/")[0], iam_action)
        # Policies ask for TLS; the loopback interface stands for it.
        iam_evaluator.pin_request_origin(HOST, True)
        return stock(access_key_id, iam_action, service, region, resource_arn, service_context)

    iam_evaluator.enforce = enforce
    context_of = iam_actions._s3_object_context
    require_parameters(context_of, ["iam_action", "query_params", "path", "headers"])

    def with_condition(iam_action: str, query_params: Any, path: str, headers: Any) -> Any:
        context = context_of(iam_action, query_params, path, headers)
        if iam_action == "s3:PutObject" and headers.get("if-none-match"):
            context["s3:if-none-match"] = headers["if-none-match"]
        return context

    iam_actions._s3_object_context = with_condition


def run_training_jobs() -> None:
    """AWS: `sagemaker:createTrainingJob.sync` runs the job; MiniStack has no SageMaker at all."""
    dispatch = stepfunctions._SERVICE_DISPATCH
    service = "arn:aws:states:::sagemaker:createTrainingJob"
    require(service not in dispatch, "the absence of SageMaker training jobs")

    def run(resource: str, request: Any) -> Any:
        try:
            return run_training_job(request)
        except TrainingJobError as error:
            raise stepfunctions._ExecutionError("States.TaskFailed", str(error)) from error

    dispatch[service] = run


def run_glue_jobs() -> None:
    """AWS: `glue:startJobRun.sync` runs the job; MiniStack refuses the integration."""
    dispatch = stepfunctions._SERVICE_DISPATCH
    service = "arn:aws:states:::glue:startJobRun"
    require(service not in dispatch, "the absence of Glue's integration")

    def run(resource: str, request: Any) -> Any:
        try:
            return run_glue_job(request)
        except GlueJobError as error:
            raise stepfunctions._ExecutionError("States.TaskFailed", str(error)) from error

    dispatch[service] = run


def _simulated(clock_file: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(clock_file.read_text().strip())
    except (FileNotFoundError, ValueError):  # absent, or being written
        return None


def _unzipped(content: bytes, folder: Path) -> Path:
    target = folder / hashlib.sha256(content).hexdigest()[:24]
    if not target.is_dir():
        partial = target.with_suffix(f".{os.getpid()}")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(partial)  # our own layers; extractall refuses paths outside
        try:
            partial.rename(target)
        except OSError:  # another emulator was first
            shutil.rmtree(partial)
    return target


def _pointer_zip(python_folder: Path) -> bytes:
    """Return a layer whose only file puts an unzipped layer first on the path."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        line = f"import sys; sys.path.insert(0, {str(python_folder)!r})\n"
        archive.writestr("python/lib/python3/site-packages/layer.pth", line)
    return buffer.getvalue()
