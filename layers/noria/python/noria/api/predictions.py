"""Answer one row or a small batch with the champion, and log every answer."""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

from noria.api.labels import file_labels
from noria.api.served_models import Report, Rollout, Served, ServedModels
from noria.data.labels import MAX_ID_CHARACTERS, is_id, read_label
from noria.errors import InvalidInputError, NoriaError, SettingsError, TransientError
from noria.inference.explanation import MAX_CONTRIBUTIONS
from noria.inference.predictor import Predictor
from noria.ports import ArtifactStore, Clock, PredictionLog
from noria.records.prediction import PredictionRecord, ServedBy
from noria.storage.hashing import canonical_json, short_id
from noria.storage.ids import hashed_record_id, new_prediction_id

MAX_BATCH_ROWS = 100
LOG_LOST = "prediction_log_lost"  # what is reported when neither log nor fallback took a record
_ITEM_FIELDS = {"inputs", "record_id", "explain", "true_label"}
_DEFAULT_CONTRIBUTIONS = 10


class _Request(NamedTuple):
    """One row to answer, read."""

    inputs: Any
    record_id: str | None
    n_explained: int
    true_label: Any
    prediction_id: str = ""

    def unit(self) -> str:
        """Return what decides which model answers: the same for the same record."""
        if self.record_id is not None:
            return self.record_id
        return short_id(canonical_json(self.inputs))


class Predictions:
    """The routes of the champion: answers, batches of answers, labels, and what serves.

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
        answer, records = self._answered(project, served, body)
        self._write(project, records)
        return answer

    def predict_batch(self, project: str, body: Any) -> dict[str, Any]:
        """Return the answers to {"items": […]}, in order; a bad item fails alone.

        Each result has `index` and either an answer or `errors`, fields with reasons.
        """
        items = _batch_items(body)
        served = self._models.get(project)
        results: list[dict[str, Any]] = []
        records: list[PredictionRecord] = []
        n_failed = 0
        for index, item in enumerate(items):
            try:
                answer, logged = self._answered(project, served, item)
            except InvalidInputError as error:
                n_failed += 1
                results.append({"index": index, "errors": error.details["errors"]})
            else:
                results.append({"index": index, **answer})
                records += logged
        self._write(project, records)
        return {
            "project": project,
            "model_version": served.model_version,
            "n_items": len(results),
            "n_failed": n_failed,
            "results": results,
        }

    def feedback(self, project: str, body: Any, artifacts: ArtifactStore) -> dict[str, Any]:
        """File the labels of a request, read as the champion's training read labels."""
        predictor = self._models.get(project).predictor
        return file_labels(
            project,
            body,
            reader=predictor.target,
            hashes_ids="record_id" in predictor.private,
            artifacts=artifacts,
            clock=self._clock,
        )

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
            "columns": {name: column._asdict() for name, column in predictor.columns.items()},
            "degraded": served.degraded,
        }

    def _answered(
        self, project: str, served: Served, item: Any
    ) -> tuple[dict[str, Any], list[PredictionRecord]]:
        """Return the answer, and what to log: one record per model that looked at the row.

        They share the prediction id, so that a label that comes later is one for both.
        """
        request = _checked_item(item, served.predictor)._replace(
            prediction_id=new_prediction_id(self._clock.now())
        )
        rollout = served.rollout
        if rollout is None or not rollout.takes(request.unit(), self._clock.now()):
            record = self._by_champion(project, served, request)
            return _shown(record, request), [record]
        challenged = self._by_challenger(project, rollout, request)
        if rollout.record.rollout_mode == "canary" and challenged.answer is not None:
            return _shown(challenged, request), [challenged]
        record = self._by_champion(project, served, request)
        return _shown(record, request), [record, challenged]

    def _by_champion(self, project: str, served: Served, request: _Request) -> PredictionRecord:
        """Return the champion's record; where it fails at a row, the previous champion's."""
        try:
            return self._by(project, served, request, "champion")
        except NoriaError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this version's fault
            spare = self._models.spare(project, served, type(error).__name__)
        return self._by(project, spare, request, "champion")

    def _by_challenger(self, project: str, rollout: Rollout, request: _Request) -> PredictionRecord:
        """Return the challenger's record, without an answer where it has none."""
        role: ServedBy = "challenger" if rollout.record.rollout_mode == "canary" else "shadow"
        failure = "it cannot be loaded"
        if rollout.predictor is not None:
            model = Served(rollout.predictor, rollout.model_version, None)
            try:
                return self._by(project, model, request, role)
            except Exception as error:  # noqa: BLE001 - a challenger may never fail a request
                failure = type(error).__name__
        return PredictionRecord(
            prediction_id=request.prediction_id,
            model_version=rollout.model_version,
            at=self._clock.now().isoformat(),
            served_by=role,
            failure=failure,
        )

    def _by(
        self, project: str, model: Served, request: _Request, role: ServedBy
    ) -> PredictionRecord:
        started = perf_counter()
        answer = model.predictor.answer(request.inputs, explain=request.n_explained)
        now, latency = self._clock.now(), (perf_counter() - started) * 1000.0
        shown, signals = model.predictor.observed(request.inputs)
        return PredictionRecord(
            prediction_id=request.prediction_id,
            model_version=model.model_version,
            at=now.isoformat(),
            served_by=role,
            answer=answer,
            project=project,
            latency_ms=round(latency, 3),
            record_id=_logged_id(project, request.record_id, model.predictor.private),
            true_label=request.true_label,
            inputs=shown,
            signals=signals,
            # Of what is shown: a hash of hidden values could be guessed back.
            inputs_hash=short_id(canonical_json(shown)),
        )

    def _write(self, project: str, records: Sequence[PredictionRecord]) -> None:
        """Log the answers; a log that cannot take them never fails a prediction."""
        if not records:
            return
        try:
            self._log.append(project, records)
        except (TransientError, SettingsError) as error:
            lost = {"project": project, "n_records": len(records), "reason": error.message}
            self._report(LOG_LOST, lost)


def _batch_items(body: Any) -> list[Any]:
    if not isinstance(body, Mapping) or set(body) != {"items"}:
        raise _fault("body", 'must be {"items": [{"inputs": {…}}, …]}')
    items = body["items"]
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_BATCH_ROWS:
        raise _fault("items", f"must be a list of 1 to {MAX_BATCH_ROWS} items")
    return items


def _checked_item(item: Any, predictor: Predictor) -> _Request:
    if not isinstance(item, Mapping) or "inputs" not in item:
        raise _fault("inputs", 'required: {"inputs": {"<column>": <value>, …}}')
    unknown = sorted(set(item) - _ITEM_FIELDS)
    if unknown:
        allowed = ", ".join(sorted(_ITEM_FIELDS))
        raise _fault(unknown[0][:100], f"unknown field; beside the inputs allowed: {allowed}")
    record_id, label = item.get("record_id"), item.get("true_label")
    if record_id is not None and not is_id(record_id):
        raise _fault("record_id", f"must be 1 to {MAX_ID_CHARACTERS} characters")
    if label is not None and "true_label" in predictor.private:
        raise _fault(
            "true_label", "is personal here (monitoring.pii) and not logged: send feedback"
        )
    if label is not None:
        label, reason = read_label(label, predictor.target)
        if reason:
            raise _fault("true_label", reason)
    return _Request(item["inputs"], record_id, _contributions(item.get("explain")), label)


def _contributions(explain: Any) -> int:
    if isinstance(explain, bool) or explain is None:
        return _DEFAULT_CONTRIBUTIONS if explain else 0
    if isinstance(explain, int) and 1 <= explain <= MAX_CONTRIBUTIONS:
        return explain
    raise _fault("explain", f"must be true, false or a number from 1 to {MAX_CONTRIBUTIONS}")


def _logged_id(project: str, record_id: str | None, private: Sequence[str]) -> str | None:
    if record_id is None or "record_id" not in private:
        return record_id
    return hashed_record_id(project, record_id)


def _shown(record: PredictionRecord, request: _Request) -> dict[str, Any]:
    """Return what a caller gets of a record with an answer."""
    shown = record.answer.to_dict() if record.answer else {}
    shown |= {
        "project": record.project,
        "model_version": record.model_version,
        "prediction_id": record.prediction_id,
        "at": record.at,
        "latency_ms": record.latency_ms,
    }
    return shown if request.record_id is None else {**shown, "record_id": request.record_id}


def _fault(field: str, reason: str) -> InvalidInputError:
    return InvalidInputError(
        f"the request cannot be read: {field}: {reason}",
        errors=[{"field": field, "reason": reason}],
    )
