"""What surrounds every handler: decode, log one event at start and end, encode, one catch-all."""

import json
import sys
from collections.abc import Callable, Mapping
from time import perf_counter, time
from typing import Any

from noria.errors import NoriaError
from noria_aws.aws.settings import METRIC_NAMESPACE, optional_setting

_NAMESPACE = optional_setting(METRIC_NAMESPACE) or "Noria"  # of the deployment's stage


# What every event of the request at hand is logged with; a function answers one at a time.
log_facts: dict[str, Any] = {}


def log_event(event: str, **facts: Any) -> None:
    """Write one structured event to the function's log; never put inputs into it."""
    line = json.dumps({"event": event, **log_facts, **facts}, ensure_ascii=False, default=str)
    sys.stderr.write(line + "\n")


def emit_metrics(project: str, **values: float) -> None:
    """Write metrics of a project in CloudWatch's embedded format, at most six names in all.

    `Predictions`, `LatencyMs`, `RequestsFailed`, `NoChampion`, `ModelsRefused`,
    `PredictionsNotLogged`.
    """
    _emit([["project"], []], {"project": project}, values)


def emit_fault(version: str) -> None:
    """Write `CodeFaults`: this version of the function failed at a request in an unforeseen way."""
    _emit([["version"]], {"version": version}, {"CodeFaults": 1})


def _emit(
    dimensions: list[list[str]], where: Mapping[str, str], values: Mapping[str, float]
) -> None:
    units = {name: "Milliseconds" if name.endswith("Ms") else "Count" for name in values}
    document = {
        "_aws": {
            "Timestamp": int(time() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": _NAMESPACE,
                    "Dimensions": dimensions,
                    "Metrics": [{"Name": name, "Unit": unit} for name, unit in units.items()],
                }
            ],
        },
        **where,
        **values,
    }
    sys.stdout.write(json.dumps(document) + "\n")


def facts_of(error: Exception) -> Mapping[str, Any]:
    """Return what may be logged of an error: of a foreign one its class, it may quote a cell."""
    return error.to_dict() if isinstance(error, NoriaError) else {"error": type(error).__name__}


def reason_of(error: Exception) -> str:
    """Return what may be told of an error in one line, as `facts_of` has it."""
    said = error.message if isinstance(error, NoriaError) else "not foreseen; the log says more"
    return f"{type(error).__name__}: {said}"


def step_handler[Q, R](
    request_type: type[Q],
) -> Callable[[Callable[[Q], R]], Callable[[Mapping[str, Any], Any], dict[str, Any]]]:
    """Make a Lambda handler of a function from the step's request to its result.

    Errors keep their class, because Step Functions retries and catches by its name.
    """

    def decorate(function: Callable[[Q], R]) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
        def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
            from noria.records.codec import decode, encode  # predict never pays for it

            step, started = function.__module__, perf_counter()
            name = context.function_name if context else step
            known = {key: event.get(key) for key in ("project", "run_id", "check_id", "candidate")}
            log_event("step_started", function=name, **known)
            try:
                result = encode(function(decode(request_type, event)))
            except Exception as error:
                facts = facts_of(error)
                log_event("step_failed", function=name, **{**known, **facts})
                raise
            seconds = round(perf_counter() - started, 3)
            log_event("step_finished", function=name, seconds=seconds, **known)
            return result

        return handler

    return decorate
