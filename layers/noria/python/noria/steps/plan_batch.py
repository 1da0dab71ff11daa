"""Read a file to score once: refuse it with a reason, or cut it into parts of whole records."""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from noria.batch.jobs import job_id_of, job_of_file
from noria.batch.parquet import parquet_as_csv
from noria.batch.parts import FileLayout, Part, read_header, split_records
from noria.batch.results import merged_spread, quantile
from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.catalog import BATCH_SUFFIXES, PARQUET
from noria.data.parsing import ByteBudget, is_json_lines, read_lines
from noria.errors import DatasetSchemaError, NoChampionError
from noria.hashing import canonical_json
from noria.inference.predictor import Predictor
from noria.layout import (
    OWNER,
    PLAN,
    batch_key,
    batch_values_prefix,
    part_key,
)
from noria.ports import Clock, ModelAliases, MonitoredStore
from noria.registry.versions import read_files
from noria.spec.model import ProjectSpec

_ADVICE = "batch.max_bytes; cut it into several"
_MAX_PARTS = 10_000  # more do not fit into the state machine's payload
_MAX_RATIO, _RATIO_FROM_BYTES = 200, 50_000_000  # of an archive; small ones may be repetitive
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
        self._name: str = plan["filename"]

    def run(self, model_version: str) -> dict[str, Any]:
        """Write the parts; return what the plan knows of them and of the model."""
        files = read_files(self._store, self._spec.name, model_version, (BUNDLE_FILE, ARRAYS_FILE))
        predictor = Predictor(files)
        with self._opened() as stream:
            source, budget = self._unpacked(stream)
            is_json = is_json_lines(self._name)
            lines = read_lines(source, self._name, budget)
            header, n_header = ((), 0) if is_json else self._header(lines)
            aliases = self._spec.column_aliases if is_json else {}
            layout = FileLayout(is_json, header, self._delimiter, aliases)
            if not is_json:
                self._require_columns(predictor, header)
            parts = list(self._written(source, layout, n_header + 1, budget))
        if not parts:
            raise DatasetSchemaError(f"{self._name}: the file holds no records", file=self._name)
        return {
            "model_version": model_version,
            "layout": layout.to_dict(),
            "parts": parts,
            "n_bytes": budget.taken,
            "edges": self._edges(predictor),
        }

    def _opened(self) -> BinaryIO:
        if not self._name.endswith(BATCH_SUFFIXES):
            raise DatasetSchemaError(
                f"{self._name}: unknown format; allowed suffixes: {', '.join(BATCH_SUFFIXES)}",
                file=self._name,
            )
        source = self._store.open(self._plan["source_key"])
        if self._name.endswith(PARQUET):
            return parquet_as_csv(source, self._name, self._spec.batch.max_rows, self._budget())
        return source

    @property
    def _delimiter(self) -> str:
        return "," if self._name.endswith(PARQUET) else self._spec.dataset.delimiter

    def _unpacked(self, stream: BinaryIO) -> tuple[BinaryIO, ByteBudget]:
        if not self._name.endswith(".gz"):
            return stream, self._budget()
        counted = _Counted(stream)
        return counted.unpacked(), _ArchiveBudget(self._spec.batch.max_bytes, _ADVICE, counted)

    def _budget(self) -> ByteBudget:
        return ByteBudget(self._spec.batch.max_bytes, _ADVICE)

    def _header(self, lines: Iterator[bytes]) -> tuple[tuple[str, ...], int]:
        header, n_lines = read_header(lines, self._name, self._delimiter)
        names = list(header)
        for alias, name in self._spec.column_aliases.items():
            if alias in names and name not in names:  # the first alias there is stands for it
                names[names.index(alias)] = name
        return tuple(names), n_lines

    def _require_columns(self, predictor: Predictor, header: tuple[str, ...]) -> None:
        required = {name for name, column in predictor.columns.items() if column["required"]}
        if absent := sorted(required - set(header)):
            raise DatasetSchemaError(
                f"{self._name}: columns {absent} are missing; the model needs them; "
                f"got {list(header)[:20]}",
                file=self._name,
            )
        if not set(header) & set(predictor.columns):
            raise DatasetSchemaError(
                f"{self._name}: none of the model's columns is there: "
                f"{sorted(predictor.columns)[:20]}; got {list(header)[:20]}",
                file=self._name,
            )

    def _written(
        self, source: BinaryIO, layout: FileLayout, first_line: int, budget: ByteBudget
    ) -> Iterator[dict[str, int]]:
        batch, n_rows = self._spec.batch, 0
        limit: int | None = self._plan["limit"]
        parts = split_records(
            source, layout, first_line, batch.rows_per_part, budget, self._name, limit
        )
        for number, part in enumerate(parts):
            n_rows += part.n_records
            if number >= _MAX_PARTS:
                raise DatasetSchemaError(
                    f"{self._name}: more than {_MAX_PARTS:,} parts; raise batch.rows_per_part or "
                    "cut it into several",
                    file=self._name,
                )
            if n_rows > batch.max_rows:
                raise DatasetSchemaError(
                    f"{self._name}: more than {batch.max_rows:,} rows (batch.max_rows); "
                    "cut it into several",
                    file=self._name,
                )
            self._put(number, part)
            yield {"first_line": part.first_line, "n_bytes": len(part.body)}

    def _put(self, number: int, part: Part) -> None:
        key = part_key(self._spec.name, self._plan["job_id"], "input", number)
        self._store.put(key, part.body)

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


class _ArchiveBudget(ByteBudget):
    """A budget that also looks at how much an archive grows."""

    def __init__(self, max_bytes: int, advice: str, source: "_Counted") -> None:
        super().__init__(max_bytes, advice)
        self._source = source

    def take(self, n_bytes: int, filename: str) -> None:
        """Count bytes; DatasetSchemaError for too many, or for an archive that explodes."""
        super().take(n_bytes, filename)
        if self.taken > max(_RATIO_FROM_BYTES, _MAX_RATIO * self._source.n_bytes):
            raise DatasetSchemaError(
                f"{filename}: the archive grows more than {_MAX_RATIO} times; "
                "send the file uncompressed if that is right",
                file=filename,
            )


class _Counted:
    """A stream that knows how much was read of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.n_bytes = stream, 0

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        body = self._stream.read(size)
        self.n_bytes += len(body)
        return body

    def unpacked(self) -> BinaryIO:
        """Return the content of the archive."""
        packed: Any = self
        unpacked: Any = gzip.GzipFile(fileobj=packed)
        return cast(BinaryIO, unpacked)
