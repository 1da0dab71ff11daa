"""The stacks, synthesized as each kind of deployment has them, without building a layer."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App
from aws_cdk.assertions import Template

from infra.config import ROOT, read_deployment
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
    },
}


def synthesized(context: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Return the templates of both stacks by name; their assets lie in the folder."""
    defaults = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    app = App(context={**defaults, **context, "aws:cdk:bundling-stacks": []}, outdir=str(folder))
    deployment = read_deployment(app.node.get_all_context())
    storage = StorageStack(app, "storage", deployment=deployment)
    platform = PlatformStack(app, "platform", deployment=deployment, storage=storage)
    stacks = {"storage": storage, "platform": platform}
    return {name: Template.from_stack(stack).to_json() for name, stack in stacks.items()}
