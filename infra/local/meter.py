"""A patch: what functions did is counted, for whoever asks what they would cost."""

import json
import os
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from infra.local.pinned import require_parameters

FILE = "meter.json"
_WRITE_SECONDS = 0.5


class Meter:
    """Calls of each role by action, and of each function its executions and its processor time.

    The time of a process is read each half second, its start included: services of the emulator
    take time that those of AWS do not, so the time that passes would say nothing.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, Lock()
        self.calls: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.runs: dict[str, int] = defaultdict(int)
        self._cpu: dict[str, dict[int, float]] = defaultdict(dict)  # function -> process -> s

    def note_call(self, role: str, action: str) -> None:
        """Count a call that a function's role made."""
        with self._lock:
            self.calls[role][action] += 1

    def note_run(self, function: str) -> None:
        """Count an execution of a function."""
        with self._lock:
            self.runs[function] += 1

    def _look(self) -> None:
        """Read the processor time of the processes that are there."""
        with lambda_runtime._lock:
            workers = [worker for pool in lambda_runtime._workers.values() for worker in pool]
        for worker in workers:
            with suppress(OSError, AttributeError):  # it has ended, or not begun
                pid = worker._proc.pid
                name = str(worker.config.get("FunctionName", ""))
                self._cpu[name][pid] = _cpu_seconds(pid)

    def write_on(self) -> None:
        """Keep the file as new as half a second."""

        def write() -> None:
            last = ""
            while True:
                time.sleep(_WRITE_SECONDS)
                self._look()
                cpu = {name: sum(of.values()) for name, of in self._cpu.items()}
                with self._lock:
                    text = json.dumps({"calls": self.calls, "runs": self.runs, "cpu": cpu})
                if text != last:
                    written = self._file.with_suffix(".new")
                    written.write_text(text, encoding="utf-8")
                    written.replace(self._file)
                    last = text

        Thread(target=write, daemon=True).start()


def _cpu_seconds(pid: int) -> float:
    """Return the seconds of processors that a process has taken; proc(5): fields 14 and 15."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    taken = text.rpartition(")")[2].split()
    return (int(taken[11]) + int(taken[12])) / os.sysconf("SC_CLK_TCK")


def meter_functions(file: Path) -> Meter:
    """AWS: what is used is metered; MiniStack counts nothing.

    Returns
    -------
    Meter
        Told of executions by this patch, of calls by the one that checks rights.
    """
    file.unlink(missing_ok=True)  # of an emulator that ran before
    meter = Meter(file)
    execute = lambda_svc._execute_function_warm
    require_parameters(execute, ["func", "event", "request_id"])

    def timed(func: Any, event: Any, request_id: str) -> Any:
        meter.note_run(str((func.get("config") or func).get("FunctionName", "")))
        return execute(func, event, request_id)

    lambda_svc._execute_function_warm = timed
    meter.write_on()
    return meter
