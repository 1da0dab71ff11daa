"""Read a spec file, check it as a whole and say exactly what is wrong with it."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from noria.catalog import ALGORITHMS, METRICS
from noria.errors import InvalidSpecError, UnknownProjectError
from noria.hashing import canonical_json, sha256_hex
from noria.spec.model import NumericFeature, ProjectSpec, TextFeature

_COLUMN_TYPE = {"text": "text", "numeric": "number", "categorical": "category"}


def load_spec(path: Path) -> ProjectSpec:
    """Return the validated spec of one TOML file.

    Raises
    ------
    InvalidSpecError
        The file does not parse or breaks a rule; every fault is named with file, path and
        allowed values, in one error.
    """
    try:
        return parse_spec(path.read_text(encoding="utf-8"), source=path.name)
    except UnicodeDecodeError as error:
        raise InvalidSpecError(f"{path.name}: not UTF-8 at byte {error.start}") from error


def load_project(name: str, folder: Path) -> ProjectSpec:
    """Return the spec of a deployed project by name; UnknownProjectError names the others."""
    names = project_names(folder)
    if name not in names:
        raise UnknownProjectError(
            f"project '{name}' is not deployed; deployed are: {', '.join(names)}",
            project=name,
            deployed=names,
        )
    return load_spec(folder / f"{name}.toml")


def project_names(folder: Path) -> list[str]:
    """Return the names of all projects whose spec lies in `folder`, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def parse_spec(text: str, *, source: str) -> ProjectSpec:
    """Return the validated spec of TOML text; `source` is the name used in errors."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSpecError(f"{source}: not valid TOML: {error}") from error
    try:
        spec = ProjectSpec.model_validate(raw)
    except ValidationError as error:
        raise _invalid(source, [_describe(fault) for fault in error.errors()]) from error
    faults = list(_contradictions(spec, source))
    if faults:
        raise _invalid(source, faults)
    return spec


def spec_hash(spec: ProjectSpec) -> str:
    """Return the SHA-256 of the spec's meaning: comments and order do not count."""
    return sha256_hex(canonical_json(spec.model_dump(mode="json")))


def _invalid(source: str, faults: list[str]) -> InvalidSpecError:
    lines = "".join(f"\n  {fault}" for fault in faults)
    return InvalidSpecError(f"{source}: {len(faults)} fault(s){lines}", file=source, faults=faults)


def _describe(fault: Any) -> str:
    path = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{path}: unknown key; remove it or correct its spelling"
    if fault["type"] == "missing":
        return f"{path}: required, but absent"
    got = repr(fault["input"])
    return f"{path}: {fault['msg']} (got {got if len(got) <= 80 else got[:77] + '...'})"


def _contradictions(spec: ProjectSpec, source: str) -> Iterator[str]:
    stem = source.removesuffix(".toml")
    if source.endswith(".toml") and spec.name != stem:
        yield f"project.name: '{spec.name}' must equal the file's name '{stem}'"
    yield from _column_faults(spec)
    yield from _task_faults(spec)
    yield from _candidate_faults(spec)
    yield from _metric_faults(spec)


def _column_faults(spec: ProjectSpec) -> Iterator[str]:
    columns, used = spec.dataset.columns, set()
    for index, feature in enumerate(spec.features):
        wanted = _COLUMN_TYPE[feature.kind]
        for column in feature.columns:
            used.add(column)
            if column not in columns:
                yield (
                    f"features.{index}.columns: '{column}' is not in dataset.columns; "
                    f"allowed: {sorted(columns)}"
                )
            elif columns[column].type != wanted:
                yield (
                    f"features.{index}.columns: '{column}' is of type "
                    f"'{columns[column].type}'; a {feature.kind} feature takes '{wanted}'"
                )
    for column in sorted(set(columns) - used):
        yield f"dataset.columns.{column}: no feature reads it; remove it or use it"
    if spec.target.column in columns:
        yield f"target.column: '{spec.target.column}' must not be an input column"
    names = [feature.name for feature in spec.features]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"features: the name '{name}' is used twice"


def _task_faults(spec: ProjectSpec) -> Iterator[str]:
    target, task = spec.target, spec.project.task
    if task == "regression" and (target.labels or target.unlabelled):
        yield "target: labels and unlabelled belong to classification"
    if task == "classification" and (target.min is not None or target.max is not None):
        yield "target: min and max belong to regression"
    if task == "regression" and spec.split.kind == "stratified":
        yield "split.kind: 'stratified' needs classes; allowed for regression: 'random', 'time'"
    if spec.split.kind == "time" and spec.dataset.time is None:
        yield "split.kind: 'time' needs dataset.time, the column that orders the rows"
    if spec.split.kind != "time" and spec.dataset.time is not None:
        yield "dataset.time: only split.kind = 'time' reads it; remove one or change the other"
    if spec.dataset.time_format is not None and spec.dataset.time is None:
        yield "dataset.time_format: there is no dataset.time to read with it"


def _candidate_faults(spec: ProjectSpec) -> Iterator[str]:
    task = spec.project.task
    offered = sorted(name for name, entry in ALGORITHMS.items() if task in entry.tasks)
    leaves_gaps = any(
        isinstance(feature, NumericFeature) and feature.impute == "none"
        for feature in spec.features
    )
    for index, candidate in enumerate(spec.candidates):
        where = f"candidates.{index}"
        entry = ALGORITHMS.get(candidate.algorithm)
        if entry is None or task not in entry.tasks:
            yield f"{where}.algorithm: '{candidate.algorithm}' for {task}; allowed: {offered}"
            continue
        for key in sorted({*candidate.params, *candidate.space} - entry.params):
            yield f"{where}: '{key}' is no parameter of it; allowed: {sorted(entry.params)}"
        for key in sorted(set(candidate.params) & set(candidate.space)):
            yield f"{where}: '{key}' is in params and in space; keep one"
        if leaves_gaps and not entry.accepts_missing:
            yield f"{where}.algorithm: '{candidate.algorithm}' needs imputed numbers"
        if candidate.space and spec.search.kind == "none":
            yield f"{where}.space: search.kind is 'none', so nothing reads it"
    names = [candidate.name for candidate in spec.candidates]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"candidates: the name '{name}' is used twice"


def _metric_faults(spec: ProjectSpec) -> Iterator[str]:
    task, evaluation = spec.project.task, spec.evaluation
    allowed = sorted(name for name, tasks in METRICS.items() if task in tasks)
    named = [("evaluation.primary_metric", evaluation.primary_metric)]
    named += [("evaluation.metrics", metric) for metric in evaluation.metrics]
    named += [("promotion.gates", gate.metric) for gate in spec.promotion.gates]
    for where, metric in named:
        if metric not in allowed:
            yield f"{where}: unknown metric '{metric}' for {task}; allowed: {allowed}"
    for metric in {evaluation.primary_metric, *(g.metric for g in spec.promotion.gates)}:
        if metric not in evaluation.metrics:
            yield f"evaluation.metrics: must list '{metric}', which decides"
    for index, feature in enumerate(spec.features):
        if isinstance(feature, TextFeature) and feature.compatible and feature.clean == ():
            yield f"features.{index}: compatible = true needs cleaning steps"
