"""Answer one row or a small batch with the champion, and log every answer."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from noria.errors import InvalidInputError, SettingsError, TransientError
from noria.hashing import canonical_json, short_id
from noria.inference.explanation import MAX_CONTRIBUTIONS
from noria.inference.serving import Served, ServedModels
from noria.ports import Clock, PredictionLog

MAX_BATCH_ROWS = 100
MAX_RECORD_ID_CHARACTERS = 100
_MASK = "***"
_ITEM_FIELDS = {"inputs", "record_id", "explain"}
_DEFAULT_CONTRIBUTIONS = 10

Report = Callable[[str, Mapping[str, Any]], None]


class Predictions:
    """The online half of Noria: everything behind the predict routes.

    Parameters
    ----------
    report : callable
        Takes an event name and its facts, for what must be seen but may not fail an answer.
    """

    def __init__(
        self, models: ServedModels, log: PredictionLog, clock: Clock, report: Report
    ) -> None:
        self._models, self._log, self._clock, self._report = models, log, clock, report

    def predict(self, project: str, body: Any) -> dict[str, Any]:
        """Return the answer to {"inputs": {…}, "record_id"?: "…", "explain"?: true or a number}.

        InvalidInputError names what is wrong with it.
        """
        served = self._models.get(project)
        answer, record = self._answered(project, served, body)
        self._write(project, [record])
        return answer

    def predict_batch(self, project: str, body: Any) -> dict[str, Any]:
        """Return the answers to {"items": […]}, in order; a bad item fails alone.

        Each result has `index` and either an answer or `errors`, fields with reasons.
        """
        items = _batch_items(body)
        served = self._models.get(project)
        results: list[dict[str, Any]] = []
        records = []
        for index, item in enumerate(items):
            try:
                answer, record = self._answered(project, served, item)
            except InvalidInputError as error:
                results.append({"index": index, "errors": error.details["errors"]})
            else:
                results.append({"index": index, **answer})
                records.append(record)
        self._write(project, records)
        return {
            "project": project,
            "model_version": served.model_version,
            "n_items": len(results),
            "n_failed": len(results) - len(records),
            "results": results,
        }

    def model(self, project: str) -> dict[str, Any]:
        """Return what serves the project: version, algorithm, task, classes and columns."""
        served = self._models.get(project)
        predictor = served.predictor
        return {
            "project": project,
            "model_version": served.model_version,
            "algorithm": predictor.algorithm,
            "task": predictor.task,
            "classes": predictor.classes,
            "columns": predictor.columns,
            "degraded": served.degraded,
        }

    def _answered(
        self, project: str, served: Served, item: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        started = perf_counter()
        inputs, record_id = _checked_item(item)
        output = served.predictor.answer(inputs, explain=_contributions(item.get("explain")))
        answer = {
            **output,
            "project": project,
            "model_version": served.model_version,
            "prediction_id": str(uuid.uuid4()),
            "at": self._clock.now().isoformat(),
            "latency_ms": round((perf_counter() - started) * 1000.0, 3),
        }
        if record_id is not None:
            answer["record_id"] = record_id
        return answer, _log_record(answer, inputs, served.predictor.columns)

    def _write(self, project: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Log the answers; a log that cannot take them never fails a prediction."""
        if not records:
            return
        try:
            self._log.append(project, records)
        except (TransientError, SettingsError) as error:
            lost = {"project": project, "n_records": len(records), "reason": error.message}
            self._report("prediction_log_lost", lost)


def _batch_items(body: Any) -> list[Any]:
    if not isinstance(body, Mapping) or set(body) != {"items"}:
        raise _fault("body", 'must be {"items": [{"inputs": {…}}, …]}')
    items = body["items"]
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_BATCH_ROWS:
        raise _fault("items", f"must be a list of 1 to {MAX_BATCH_ROWS} items")
    return items


def _checked_item(item: Any) -> tuple[Any, str | None]:
    if not isinstance(item, Mapping) or "inputs" not in item:
        raise _fault("inputs", 'required: {"inputs": {"<column>": <value>, …}}')
    unknown = sorted(set(item) - _ITEM_FIELDS)
    if unknown:
        allowed = ", ".join(sorted(_ITEM_FIELDS))
        raise _fault(unknown[0][:100], f"unknown field; beside the inputs allowed: {allowed}")
    record_id = item.get("record_id")
    if record_id is not None and not (
        isinstance(record_id, str) and 1 <= len(record_id) <= MAX_RECORD_ID_CHARACTERS
    ):
        raise _fault("record_id", f"must be 1 to {MAX_RECORD_ID_CHARACTERS} characters")
    return item["inputs"], record_id


def _contributions(explain: Any) -> int:
    if isinstance(explain, bool) or explain is None:
        return _DEFAULT_CONTRIBUTIONS if explain else 0
    if isinstance(explain, int) and 1 <= explain <= MAX_CONTRIBUTIONS:
        return explain
    raise _fault("explain", f"must be true, false or a number from 1 to {MAX_CONTRIBUTIONS}")


def _log_record(
    answer: Mapping[str, Any], inputs: Mapping[str, Any], columns: Mapping[str, Any]
) -> dict[str, Any]:
    shown = {
        name: _MASK if columns[name]["pii"] and value is not None else value
        for name, value in inputs.items()
    }
    # An explanation quotes words of the inputs, and can be computed again.
    kept = {name: value for name, value in answer.items() if name != "explanation"}
    return {
        **kept,
        "inputs": shown,
        "inputs_hash": short_id(canonical_json(dict(inputs))),
        "served_by": "champion",
    }


def _fault(field: str, reason: str) -> InvalidInputError:
    return InvalidInputError(
        f"the request cannot be read: {field}: {reason}",
        errors=[{"field": field, "reason": reason}],
    )
