"""The stacks, synthesized as each kind of deployment has them, without building a layer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aws_cdk import App
from aws_cdk.assertions import Template

from infra.config import read_deployment
from infra.names import ROOT
from infra.stacks.platform import PlatformStack
from infra.stacks.storage import StorageStack

_IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
CONTEXTS: dict[str, dict[str, str]] = {
    "default": {},
    "prod": {"noria:stage": "prod", "noria:size": "large", "noria:alert_email": "a@example.org"},
    "every option": {
        "noria:sagemaker_image": _IMAGE,
        "noria:model_package_prefix": "team",
        "noria:mlflow_tracking_uri": "http://mlflow.example.org",
        "noria:architecture": "x86_64",
        "noria:predict_concurrency": "25",
        "noria:tiers": '{"partner": {"requests_per_second": 5, "requests_per_day": 10000}}',
        "noria:shared_requests_per_minute": "30",
        "noria:trace_requests": "true",
        "noria:jwt_issuer": "https://login.example.org/pool",
        "noria:jwt_audience": "noria",
        "noria:waf": "true",
        "noria:cors_origins": "https://desk.example.org, http://localhost:5173",
    },
}


@dataclass(frozen=True)
class Stacks:
    """Both stacks of a deployment; synthesizing them takes seconds, so a process does it once."""

    storage: StorageStack
    platform: PlatformStack
    folder: TemporaryDirectory[str]  # of assets: removed with the process

    @property
    def assets(self) -> Path:
        """Where the assets lie."""
        return Path(self.folder.name)

    def template(self, name: str) -> Template:
        """Return the template of "storage" or "platform"."""
        return Template.from_json(self.json(name))

    def json(self, name: str) -> dict[str, Any]:
        """Return a template as JSON, a copy that may be changed."""
        found: dict[str, Any] = json.loads(_text(self, name))
        return found


def stacks(context: Mapping[str, str]) -> Stacks:
    """Return the stacks with a context above that of cdk.json."""
    return _stacks(tuple(sorted(context.items())))


@cache
def _stacks(context: tuple[tuple[str, str], ...]) -> Stacks:
    defaults = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    folder = TemporaryDirectory(prefix="cdk.out.")
    settings = {**defaults, **dict(context), "aws:cdk:bundling-stacks": []}
    app = App(context=settings, outdir=folder.name)
    deployment = read_deployment(app.node.get_all_context())
    storage = StorageStack(app, "storage", deployment=deployment)
    platform = PlatformStack(app, "platform", deployment=deployment, storage=storage)
    return Stacks(storage, platform, folder)


@cache
def _text(made: Stacks, name: str) -> str:
    stack = made.platform if name == "platform" else made.storage
    return json.dumps(Template.from_stack(stack).to_json())
