"""The composition root of predict: kept apart so that a cold start imports only what it uses."""

import os.path
from time import monotonic
from typing import Any

import projects
from noria.errors import (
    ModelError,
    RegistryError,
    SettingsError,
    TransientError,
    UnknownProjectError,
)
from noria.inference.serving import ServedModels
from noria.steps.predict import Predictions
from noria_aws.clock import SystemClock
from noria_aws.http_api import Call, Operations
from noria_aws.runtime import log_event
from noria_aws.serving_adapters import FirehoseLog, ReadOnlyAliases, ReadOnlyArtifacts
from noria_aws.settings import (
    ALIAS_TABLE,
    DATA_BUCKET,
    PREDICTION_STREAM_PREFIX,
    aws_context,
    setting,
)


def deployed_projects() -> list[str]:
    """Return the names of the deployed projects, sorted."""
    folder = os.path.dirname(str(projects.__file__))  # noqa: PTH120 - pathlib costs 8 ms
    names = os.listdir(folder)  # noqa: PTH208
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


class Serving:
    """The operations of the API, over the serving adapters."""

    def __init__(self) -> None:
        self._aliases = ReadOnlyAliases(setting(ALIAS_TABLE), aws_context)
        artifacts = ReadOnlyArtifacts(setting(DATA_BUCKET), aws_context)
        self._models = ServedModels(artifacts, self._aliases, monotonic)
        log = FirehoseLog(setting(PREDICTION_STREAM_PREFIX), aws_context)
        self._predictions = Predictions(
            self._models, log, SystemClock(), lambda event, facts: log_event(event, **facts)
        )
        self._projects = deployed_projects()
        self.operations: Operations = {
            "health": lambda _: self._health(),
            "predict": lambda call: self._predictions.predict(self._project(call), call.body),
            "predict_batch": lambda call: self._predictions.predict_batch(
                self._project(call), call.body
            ),
            "model": lambda call: self._predictions.model(self._project(call)),
            "history": self._history,
        }

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
        return {"project": project, "promotions": [vars(entry) for entry in entries]}

    def _health(self) -> dict[str, Any]:
        states = {name: self._state(name) for name in self._projects}
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
