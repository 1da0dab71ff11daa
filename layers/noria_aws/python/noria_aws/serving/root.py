"""The composition root of predict: kept apart so that a cold start imports only what it uses."""

import os.path
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic, perf_counter
from typing import Any, NamedTuple, Protocol

import projects
from noria.access.limits import RequestLimits
from noria.api.predictions import LOG_LOST, Predictions
from noria.api.served_models import MODEL_REFUSED, ServedModels
from noria.errors import (
    InvalidInputError,
    ModelError,
    NoChampionError,
    RegistryError,
    SettingsError,
    TransientError,
    UnknownProjectError,
)
from noria.ports import ArtifactStore, Clock, LinkedStore, ModelAliases, PredictionLog
from noria_aws.aws.clock import SystemClock, deployed_clock
from noria_aws.aws.settings import (
    ACCESS_TABLE,
    ALIAS_TABLE,
    CLOCK_FILE,
    DATA_BUCKET,
    FALLBACK_QUEUE_URL,
    PREDICTION_STREAM_PREFIX,
    aws_context,
    limits,
    optional_setting,
    setting,
)
from noria_aws.handlers.http_api import Call, Operation
from noria_aws.handlers.runtime import emit_metrics, log_event
from noria_aws.serving.access import HttpRequestCounts
from noria_aws.serving.ports import FirehoseLog, HttpArtifacts, ReadOnlyAliases, dynamodb


def deployed_projects() -> list[str]:
    """Return the names of the deployed projects, sorted."""
    folder = os.path.dirname(str(projects.__file__))  # noqa: PTH120 - pathlib costs 8 ms
    names = os.listdir(folder)  # noqa: PTH208
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def _report(event: str, facts: Mapping[str, Any]) -> None:
    log_event(event, **facts)
    if event == LOG_LOST:
        emit_metrics(facts["project"], PredictionsNotLogged=facts["n_records"])
    elif event == MODEL_REFUSED:
        emit_metrics(facts["project"], ModelsRefused=1)


class ServingStore(ArtifactStore, LinkedStore, Protocol):
    """The store of the API's operations."""


class ServingPorts(NamedTuple):
    """What the API's operations need from the outside."""

    aliases: ModelAliases
    artifacts: ServingStore
    log: PredictionLog
    clock: Clock
    projects: list[str]  # deployed ones, sorted
    limits: RequestLimits


def deployed_ports() -> ServingPorts:
    """Return the ports that the function's environment names."""
    table = dynamodb(aws_context)
    counts = HttpRequestCounts(setting(ACCESS_TABLE), table)
    return ServingPorts(
        ReadOnlyAliases(setting(ALIAS_TABLE), table),
        HttpArtifacts(setting(DATA_BUCKET), aws_context),
        FirehoseLog(setting(PREDICTION_STREAM_PREFIX), setting(FALLBACK_QUEUE_URL), aws_context),
        deployed_clock(),
        deployed_projects(),
        RequestLimits(limits(), counts, SystemClock()),
    )


class Serving:
    """The operations of the API."""

    def __init__(self, ports: ServingPorts) -> None:
        self._aliases, self._artifacts, self._clock = ports.aliases, ports.artifacts, ports.clock
        self._models = ServedModels(
            self._artifacts, self._aliases, self._seconds, _report, self._clock
        )
        self._predictions = Predictions(self._models, ports.log, self._clock, _report)
        self._projects, self.limits = ports.projects, ports.limits
        self.operations: dict[str, Operation] = {
            "health": self._health,
            "predict": lambda call: self._measured(self._predictions.predict, call),
            "predict_batch": lambda call: self._measured(self._predictions.predict_batch, call),
            "model": lambda call: self._predictions.model(self._project(call)),
            "history": self._history,
            "feedback": lambda call: self._predictions.feedback(
                self._project(call), call.body, self._artifacts
            ),
            "create_job": self._create_job,
            "job": self._read_job,
            "cancel_job": self._cancel_job,
            "drift": partial(self._last_check, "drift"),
            "metrics": partial(self._last_check, "metrics"),
            "features": partial(self._last_check, "features"),
            "performance": partial(self._last_check, "performance"),
        }

    def _seconds(self) -> float:
        """Return seconds that only grow; of a simulated deployment, simulated ones."""
        is_simulated = optional_setting(CLOCK_FILE) is not None
        return self._clock.now().timestamp() if is_simulated else monotonic()

    # Checks and jobs bring thirty records: imported at their first use, a prediction never waits.

    def _last_check(self, part: str, call: Call) -> dict[str, Any]:
        from noria.api.checks import last_check

        return last_check(self._artifacts, self._project(call), part, call.query)

    def _create_job(self, call: Call) -> dict[str, Any]:
        from noria.api.jobs import create_job

        return create_job(self._project(call), call.body, store=self._artifacts, clock=self._clock)

    def _read_job(self, call: Call) -> dict[str, Any]:
        from noria.api.jobs import read_job

        return read_job(self._project(call), call.item, store=self._artifacts, clock=self._clock)

    def _cancel_job(self, call: Call) -> dict[str, Any]:
        from noria.api.jobs import cancel_job

        return cancel_job(self._project(call), call.item, store=self._artifacts, clock=self._clock)

    def _measured(self, answer: Callable[[str, Any], dict[str, Any]], call: Call) -> dict[str, Any]:
        """Answer, and count what happened where alarms look."""
        project, started = self._project(call), perf_counter()
        try:
            given = answer(project, call.body)
        except NoChampionError:
            emit_metrics(project, NoChampion=1)
            raise
        except InvalidInputError:
            raise  # the caller's fault
        except Exception:
            emit_metrics(project, RequestsFailed=1)
            raise
        milliseconds = (perf_counter() - started) * 1000.0
        emit_metrics(project, Predictions=given.get("n_items", 1), LatencyMs=milliseconds)
        return given

    def _project(self, call: Call) -> str:
        if call.project not in self._projects:
            raise UnknownProjectError(
                f"project '{str(call.project)[:40]}' is not deployed; "
                f"deployed are: {', '.join(self._projects)}"
            )
        return str(call.project)

    def _history(self, call: Call) -> dict[str, Any]:
        project = self._project(call)
        entries = self._aliases.history(project)
        return {"project": project, "promotions": [entry._asdict() for entry in entries]}

    def _health(self, call: Call) -> dict[str, Any]:
        states = {name: self._state(name) for name in self._projects if call.grant.covers(name)}
        healthy = all(state["status"] == "ok" for state in states.values())
        return {"status": "ok" if healthy else "degraded", "projects": states}

    def _state(self, project: str) -> dict[str, Any]:
        try:
            served = self._models.get(project)
        except (ModelError, RegistryError, SettingsError, TransientError) as error:
            return {"status": "degraded", "reason": error.message, "model_version": None}
        status = "degraded" if served.degraded else "ok"
        return {
            "status": status,
            "reason": served.degraded,
            "model_version": served.model_version,
        }
