"""Patches that keep the emulator small on one machine: few workers, few objects of the log."""

import os
from collections import defaultdict
from contextvars import Context, copy_context
from threading import BoundedSemaphore, Lock, Timer
from typing import Any, NamedTuple

from ministack.services import firehose, lambda_svc

from infra.local.pinned import require_parameters

WORKERS = max(2, os.cpu_count() or 1)  # of a function; more would only wait for a core
PACK_SECONDS = 0.5


class _Pack(NamedTuple):
    """Records of a stream on their way to one object."""

    stream: Any
    dest: Any
    records: list[tuple[str, bytes]]
    context: Context


def queue_for_workers() -> None:
    """AWS: a function's executions are limited; here too, and what comes above them waits.

    MiniStack starts a process for each of a hundred requests at once. No function of Noria calls a
    function, so waiting for one cannot lock.
    """
    execute = lambda_svc._execute_function_warm
    require_parameters(execute, ["func", "event", "request_id"])
    slots: dict[str, BoundedSemaphore] = defaultdict(lambda: BoundedSemaphore(WORKERS))
    lock = Lock()

    def in_turn(func: Any, event: Any, request_id: str) -> Any:
        name = (func.get("config") or func).get("FunctionName", "")
        with lock:
            slot = slots[name]
        with slot:
            return execute(func, event, request_id)

    lambda_svc._execute_function_warm = in_turn


def pack_log_records() -> None:
    """AWS: Firehose gathers records for a while and writes them as one object.

    MiniStack writes an object for each record, and each object starts a function.
    """
    deliver = firehose._deliver_records_to_s3
    require_parameters(deliver, ["stream", "dest", "records"])
    waiting: dict[str, _Pack] = {}
    lock = Lock()

    def flush(name: str) -> None:
        with lock:
            pack = waiting.pop(name)
        packed = [(pack.records[0][0], b"".join(body for _, body in pack.records))]
        pack.context.run(deliver, pack.stream, pack.dest, packed)

    def gather(stream: Any, dest: Any, records: list[tuple[str, bytes]]) -> None:
        with lock:
            if stream["name"] in waiting:
                waiting[stream["name"]].records.extend(records)
                return
            # The account and region of the request are in the context.
            waiting[stream["name"]] = _Pack(stream, dest, [*records], copy_context())
        Timer(PACK_SECONDS, flush, [stream["name"]]).start()  # a stop waits for it

    firehose._deliver_records_to_s3 = gather
