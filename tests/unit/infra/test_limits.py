import threading
from types import SimpleNamespace

import pytest
from ministack.services import firehose, lambda_svc

from infra.local import limits


def _function(name):
    return {"config": {"FunctionName": name}}


def test_what_comes_above_a_functions_workers_waits_and_is_answered(monkeypatch):
    """Never more at once than there are workers; another function does not wait for it."""
    at_work, most, lock, release = (
        {"a": 0, "b": 0},
        {"a": 0, "b": 0},
        threading.Lock(),
        threading.Event(),
    )

    def execute(func, event, request_id):
        name = func["config"]["FunctionName"]
        with lock:
            at_work[name] += 1
            most[name] = max(most[name], at_work[name])
        if name == "a":
            assert release.wait(timeout=30.0)
        with lock:
            at_work[name] -= 1
        return event

    monkeypatch.setattr(lambda_svc, "_execute_function_warm", execute)
    limits.queue_for_workers()
    answers = []
    threads = [
        threading.Thread(
            target=lambda n=n: answers.append(
                lambda_svc._execute_function_warm(_function("a"), n, "")
            )
        )
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    assert lambda_svc._execute_function_warm(_function("b"), "other", "") == "other"
    release.set()
    for thread in threads:
        thread.join(timeout=30.0)
    assert sorted(answers) == list(range(16))
    assert most == {"a": limits.WORKERS, "b": 1}


def test_records_of_a_while_are_one_object_a_stream_in_their_order(monkeypatch):
    """None is lost, none comes twice."""
    delivered, timers = [], []

    def deliver(stream, dest, records):
        delivered.append((stream["name"], dest, records))

    def timer(seconds, flush, names):
        assert seconds == limits.PACK_SECONDS
        return SimpleNamespace(start=lambda: timers.append(lambda: flush(*names)))

    def end_of_while():
        for flush in timers:
            flush()
        timers.clear()

    monkeypatch.setattr(firehose, "_deliver_records_to_s3", deliver)
    monkeypatch.setattr(limits, "Timer", timer)
    limits.pack_log_records()
    put = firehose._deliver_records_to_s3
    for n in range(5):
        put({"name": "s"}, "here", [(f"id{n}", f"{n}\n".encode())])
    put({"name": "t"}, "there", [("id", b"x\n")])
    assert delivered == []
    end_of_while()
    assert sorted(delivered) == [
        ("s", "here", [("id0", b"0\n1\n2\n3\n4\n")]),
        ("t", "there", [("id", b"x\n")]),
    ]
    delivered.clear()
    put({"name": "s"}, "here", [("id6", b"6\n")])
    put({"name": "t"}, "there", [("id7", b"7\n")])
    end_of_while()  # the next while is another object


@pytest.mark.parametrize(
    ("module", "name", "patch"),
    [
        (lambda_svc, "_execute_function_warm", limits.queue_for_workers),
        (firehose, "_deliver_records_to_s3", limits.pack_log_records),
    ],
)
def test_another_ministack_is_refused(monkeypatch, module, name, patch):
    """Its shape is all we know of it."""
    monkeypatch.setattr(module, name, lambda renamed: None)
    with pytest.raises(RuntimeError, match="parameters of <lambda>"):
        patch()
