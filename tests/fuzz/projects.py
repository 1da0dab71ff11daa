"""The four shipped projects with a small model of each form, served from memory."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from cli.samples.files import sample_files
from infra.names import SPECS
from noria.data.versions import read_rows
from noria.inference.loading import load_model_version, verified_manifest
from noria.records.alias import Promotion
from noria.registry.versions import read_manifest
from noria.spec.loader import load_spec
from noria.spec.model import CandidateSection, ProjectSpec, SearchSection
from noria.storage.keys import TRAIN
from noria_aws.handlers.http_api import http_handler
from noria_aws.serving.root import Serving, ServingPorts
from tests.support.access import ADMIN, authorized, request_limits
from tests.support.fakes import MemoryAliases, MemoryArtifacts, MemoryLog, SteppingClock
from tests.support.pipeline import run_training

_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "tickets": ("linear_svm", {}),
    "messages": ("random_forest", {"n_estimators": 8, "max_depth": 6}),
    "housing": ("gradient_boosting", {"n_estimators": 20}),
    "customers": ("svm", {"C": 1.0}),
}
PROJECTS = tuple(_MODELS)
_ROWS = 240


class World(NamedTuple):
    """The stores of all projects."""

    artifacts: MemoryArtifacts
    aliases: MemoryAliases
    rows: dict[str, list[dict[str, Any]]]  # of each project: inputs that are answered

    def handler(self) -> Any:
        """Return a new process of predict."""
        log, clock = MemoryLog(), SteppingClock()
        limits = request_limits()
        ports = ServingPorts(self.aliases, self.artifacts, log, clock, sorted(PROJECTS), limits)
        serving = Serving(ports)
        return http_handler(lambda: serving.operations, lambda: limits)

    def copied(self) -> "World":
        """Return the same content, apart."""
        return World(self.artifacts.copied(), self.aliases.copied(), self.rows)


def world() -> World:
    """Return the four projects, each with one version that serves; trained once a process."""
    return _trained().copied()


@lru_cache(maxsize=1)
def _trained() -> World:
    made = World(MemoryArtifacts(), MemoryAliases(), {})
    for name in PROJECTS:
        spec, version = _small(name), None
        files = [*sample_files(name, n_rows=_ROWS)]
        for filename, body in files:
            made.artifacts.put(f"inbox/{name}/{filename}", body)
        keys = tuple(f"inbox/{name}/{filename}" for filename, _ in files)
        run = run_training(
            spec,
            keys,
            "fuzz",
            artifacts=made.artifacts,
            aliases=MemoryAliases(),
            clock=SteppingClock(),
        )
        version = run.model_version
        assert version is not None, run
        promote(made, name, version)
        made.rows[name] = [*_rows(made.artifacts, name, version)]
    return made


def promote(made: World, project: str, version: str, *, is_verified: bool = True) -> None:
    """Make a version champion, whatever it is."""
    revision = made.aliases.read(project).revision
    manifest = verified_manifest(made.artifacts, project, version) if is_verified else None
    made.aliases.apply(
        Promotion(
            project,
            f"{version}-{revision}",
            version,
            revision,
            "manual",
            "fuzz",
            "fuzz",
            "2026-01-01T00:00:00+00:00",
            manifest,
        )
    )


def event(method: str, resource: str, project: str, body: str | None = None) -> dict[str, Any]:
    """Return the event that API Gateway makes of a request with the admin key."""
    return {
        "httpMethod": method,
        "resource": resource,
        "path": resource.replace("{project}", project),
        "pathParameters": {"project": project, "job_id": "j1"},
        "requestContext": {**authorized(ADMIN), "requestId": "r"},
        "headers": {"content-type": "application/json"},
        "isBase64Encoded": False,
        "body": body,
    }


def _small(name: str) -> ProjectSpec:
    algorithm, params = _MODELS[name]
    spec = load_spec(SPECS / f"{name}.toml")
    candidate = CandidateSection(name="small", algorithm=algorithm, params=params)
    search = SearchSection.model_validate({"kind": "none"})
    dataset = spec.dataset.model_copy(update={"min_rows": 50})
    changes = {"candidates": (candidate,), "search": search, "dataset": dataset}
    return spec.model_copy(update=changes)


def _rows(artifacts: MemoryArtifacts, project: str, version: str) -> Iterator[dict[str, Any]]:
    """Yield rows that the model was trained on, with the columns that it reads."""
    columns = load_model_version(artifacts, project, version).columns
    lineage = read_manifest(artifacts, project, version).lineage
    assert lineage is not None
    dataset = lineage.dataset_version
    for row in read_rows(artifacts, project, dataset, TRAIN)[:30]:
        yield {name: row[name] for name in columns if row.get(name) is not None}
