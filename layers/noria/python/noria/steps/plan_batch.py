"""Read a file to score once: refuse it with a reason, or cut it into parts of whole records."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from noria.batch.files import RowsFile, opened_rows
from noria.batch.jobs import job_id_of, job_of_file
from noria.batch.results import merged_spread, quantile
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.errors import DatasetSchemaError, NoChampionError
from noria.inference.predictor import Predictor
from noria.ports import Clock, ModelAliases, MonitoredStore
from noria.registry.versions import read_files
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json
from noria.storage.keys import (
    OWNER,
    PLAN,
    batch_key,
    batch_values_prefix,
    part_key,
)

_MAX_PARTS = 10_000  # more do not fit into the state machine's payload
_MIN_VALUES, _BATCHES = 100, 10  # business values that fix the bands: of how many batches at most


@dataclass(frozen=True)
class PlanBatchRequest:
    """Which file; the same event twice is one job."""

    project: str
    source_key: str
    event: str  # S3's number of the upload: the same for doubled events
    owner: str  # the execution that asks


@dataclass(frozen=True)
class PlanBatchResult:
    """The parts to score, or why there are none."""

    verdict: str  # "planned", "rejected", "duplicate"
    job_id: str
    n_parts: int
    max_concurrency: int
    reasons: tuple[str, ...]


def plan_batch(
    request: PlanBatchRequest,
    *,
    spec: ProjectSpec,
    store: MonitoredStore,
    aliases: ModelAliases,
    clock: Clock,
) -> PlanBatchResult:
    """Cut the file into parts under `batches/<project>/<job>/` and write `plan.json`, last.

    The plan pins the model version and the edges of the bands, so that a part that is scored
    again, or after a promotion, gives the same answers. A file that cannot be scored is refused
    with every reason; its parts are never looked at.
    """
    job_id = job_id_of(store, spec.name, request.source_key, request.event)
    key = batch_key(spec.name, job_id, PLAN)
    claim = batch_key(spec.name, job_id, OWNER)
    if not store.put(claim, canonical_json({"owner": request.owner}), if_absent=True):
        if json.loads(store.get(claim))["owner"] != request.owner:
            return PlanBatchResult("duplicate", job_id, 0, 0, ())
        if store.exists(key):  # this very execution, asked again
            return _result(json.loads(store.get(key)), spec)
    _, job = job_of_file(store, spec.name, request.source_key)
    plan: dict[str, Any] = {
        "project": spec.name,
        "job_id": job_id,
        "source_key": request.source_key,
        "filename": request.source_key.rpartition("/")[2],
        "started_at": clock.now().isoformat(),
        "limit": job.get("limit"),
        "reasons": [],
        "parts": [],
    }
    try:
        plan |= _Planning(spec, store, plan).run(_champion(spec.name, aliases))
    except (DatasetSchemaError, NoChampionError) as error:
        plan |= {"reasons": [error.message], "parts": []}
    # A slower attempt of this execution may have been first, and its parts be scored already.
    if not store.put(key, canonical_json(plan), if_absent=True):
        plan = json.loads(store.get(key))
    return _result(plan, spec)


def _result(plan: Mapping[str, Any], spec: ProjectSpec) -> PlanBatchResult:
    reasons = tuple(plan["reasons"])
    verdict = "rejected" if reasons else "planned"
    n_parts, most = len(plan["parts"]), spec.batch.max_concurrency
    return PlanBatchResult(verdict, plan["job_id"], n_parts, most, reasons)


def _champion(project: str, aliases: ModelAliases) -> str:
    champion = aliases.read(project).champion
    if champion is None:
        raise NoChampionError(
            f"project '{project}' has no champion yet; train one: noria train {project}",
            project=project,
        )
    return champion


class _Planning:
    """One pass over the file."""

    def __init__(self, spec: ProjectSpec, store: MonitoredStore, plan: Mapping[str, Any]) -> None:
        self._spec, self._store, self._plan = spec, store, plan

    def run(self, model_version: str) -> dict[str, Any]:
        """Write the parts; return what the plan knows of them and of the model."""
        files = read_files(self._store, self._spec.name, model_version, (BUNDLE_FILE, ARRAYS_FILE))
        predictor = Predictor(files)
        source, name = self._plan["source_key"], self._plan["filename"]
        with opened_rows(lambda: self._store.open(source), name, self._spec) as file:
            file.require_columns(predictor.columns)
            parts = list(self._written(file))
        if not parts:
            raise DatasetSchemaError(f"{name}: the file holds no records", file=name)
        return {
            "model_version": model_version,
            "layout": file.layout.to_dict(),
            "parts": parts,
            "n_bytes": file.budget.taken,
            "edges": self._edges(predictor),
        }

    def _written(self, file: RowsFile) -> Iterator[dict[str, int]]:
        for number, part in enumerate(file.parts(self._plan["limit"])):
            if number >= _MAX_PARTS:
                raise DatasetSchemaError(
                    f"{file.name}: more than {_MAX_PARTS:,} parts; raise batch.rows_per_part or "
                    "cut it into several",
                    file=file.name,
                )
            key = part_key(self._spec.name, self._plan["job_id"], "input", number)
            self._store.put(key, part.body)
            yield {"first_line": part.first_line, "n_bytes": len(part.body)}

    def _edges(self, predictor: Predictor) -> dict[str, Any] | None:
        """Return where bands of business value end: of earlier batches, else of training."""
        data, section = predictor.postprocess_data, self._spec.postprocess
        if data is None or section is None:
            return None
        found = list(self._store.under(batch_values_prefix(self._spec.name)))[-_BATCHES:]
        spread = merged_spread([json.loads(self._store.get(entry.key)) for entry in found])
        if spread is None or spread["n"] < _MIN_VALUES:
            return {"from": "training", "at": data["edges"], "names": data["bands"]}
        at = [quantile(spread, share) for share in section.band_quantiles]
        return {"from": f"{len(found)} earlier batches", "at": at, "names": data["bands"]}
