import json
import os
import time
from types import SimpleNamespace

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from infra.local.meter import Meter, _cpu_seconds, meter_functions


def test_calls_executions_and_processor_time_are_counted(monkeypatch, tmp_path):
    """By role and action, by function, and of every process that a function had."""
    monkeypatch.setattr(lambda_svc, "_execute_function_warm", lambda func, event, request_id: "ok")
    worker = SimpleNamespace(
        _proc=SimpleNamespace(pid=os.getpid()), config={"FunctionName": "predict"}
    )
    monkeypatch.setattr(lambda_runtime, "_workers", {"k": [worker]})
    file = tmp_path / "meter.json"
    file.write_text("of an emulator before")
    meter = meter_functions(file)
    for _ in range(3):
        function = {"config": {"FunctionName": "predict"}}
        assert lambda_svc._execute_function_warm(function, {}, "r") == "ok"
    meter.note_call("role", "s3:GetObject")
    deadline = time.monotonic() + 10.0
    while not (file.exists() and json.loads(file.read_text())["calls"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = json.loads(file.read_text())
    assert (found["calls"], found["runs"]) == ({"role": {"s3:GetObject": 1}}, {"predict": 3})
    assert 0 < found["cpu"]["predict"] <= _cpu_seconds(os.getpid())


def test_a_process_that_has_ended_keeps_what_it_took(monkeypatch, tmp_path):
    """A function's time is that of all processes that it ever had."""
    meter = Meter(tmp_path / "m.json")
    worker = SimpleNamespace(_proc=SimpleNamespace(pid=os.getpid()), config={"FunctionName": "f"})
    monkeypatch.setattr(lambda_runtime, "_workers", {"k": [worker]})
    meter._look()
    taken = meter._cpu["f"][os.getpid()]
    for gone in (SimpleNamespace(pid=2**22 + 1), None):
        worker._proc = gone
        meter._look()
    assert meter._cpu["f"] == {os.getpid(): taken}
