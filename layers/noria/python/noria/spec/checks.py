"""Whether a spec agrees with itself: columns, tasks, candidates and metrics."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from noria.spec.algorithms import ALGORITHMS, parameter_faults
from noria.spec.catalog import METRICS, MetricEntry
from noria.spec.columns import column_types, columns_read
from noria.spec.features import (
    DERIVATION_TYPES,
    EVERY,
    FEATURE_TAKES,
    EmbeddingFeature,
    NumericFeature,
    TextFeature,
)
from noria.spec.idle_keys import idle_keys
from noria.spec.model import (
    TWO_CLASS_RULES,
    CandidateSection,
    ProjectSpec,
    SearchRange,
)
from noria.spec.operations import GateSection

_MOST_UNREAD, _SHOWN_UNREAD = 3, 10  # columns that no feature reads: told one by one, and named
_MOST_OF_A_GRID = 500  # combinations, as trials of another search


def contradictions(spec: ProjectSpec) -> Iterator[str]:
    """Yield every fault, each with its path in the spec and what is allowed."""
    yield from _dataset_faults(spec)
    yield from column_faults(spec, are_final=not spec.dataset.infer)
    yield from _task_faults(spec)
    yield from _decision_faults(spec)
    yield from _split_faults(spec)
    yield from _backend_faults(spec)
    yield from _candidate_faults(spec)
    yield from _metric_faults(spec)
    yield from idle_keys(spec)


def column_faults(spec: ProjectSpec, *, are_final: bool) -> Iterator[str]:
    """Yield the faults of who reads which column.

    Parameters
    ----------
    are_final : bool
        Whether all columns are known: declared, or inferred from the rows already.
    """
    for where, column, wanted in _readings(spec):
        yield from _reading_fault(column_types(spec), (where, column, wanted), are_final)
    used = set(columns_read(spec))
    wildcards = {FEATURE_TAKES[f.kind] for f in spec.features if EVERY in f.columns}
    types = column_types(spec)
    unread = [name for name, kind in types.items() if name not in used and kind not in wildcards]
    if len(unread) > _MOST_UNREAD:  # one word that is wrong in a feature leaves all others unread
        shown = ", ".join(unread[:_SHOWN_UNREAD]) + (", …" if len(unread) > _SHOWN_UNREAD else "")
        yield (
            f"features: no feature reads {len(unread)} of the columns: {shown}; name them, or let a "
            f"feature read every column of a type: columns = ['{EVERY}']"
        )
        unread = []
    for column in unread:
        table = "derived" if column in spec.derived else "dataset.columns"
        yield f"{table}.{column}: no feature reads it; remove it or use it"
    names = [feature.name for feature in spec.features]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"features: the name '{name}' is used twice"


def _readings(spec: ProjectSpec) -> Iterator[tuple[str, str, str]]:
    """Yield (where, column, type it must have) of everything that reads a column."""
    for index, feature in enumerate(spec.features):
        for column in feature.columns:
            if column != EVERY:
                yield f"features.{index}.columns", column, FEATURE_TAKES[feature.kind]
        if by := getattr(feature, "by", None):
            yield f"features.{index}.by", by, "category"
    for name, derivation in spec.derived.items():
        for column in derivation.source:
            yield f"derived.{name}.from", column, DERIVATION_TYPES[derivation.how][0]
    for column in spec.evaluation.slices:
        yield "evaluation.slices", column, "category"
    if spec.postprocess:
        yield "postprocess.amount", spec.postprocess.amount, "number"
        if spec.postprocess.contact:
            yield "postprocess.contact", spec.postprocess.contact, "number"


def _reading_fault(
    types: Mapping[str, str], reading: tuple[str, str, str], are_final: bool
) -> Iterator[str]:
    where, column, wanted = reading
    kind = types.get(column)
    if kind is None:
        if are_final:
            yield f"{where}: '{column}' is no column; there are: {sorted(types)}"
    elif kind != wanted and not (wanted == "string" and kind in ("text", "category")):
        yield f"{where}: '{column}' is of type '{kind}'; '{wanted}' is needed"


def _dataset_faults(spec: ProjectSpec) -> Iterator[str]:
    dataset, columns = spec.dataset, spec.dataset.columns
    if not columns and not dataset.infer:
        yield "dataset.columns: name the input columns, or set dataset.infer = true"
    if dataset.drop and not dataset.infer:
        yield "dataset.drop: only dataset.infer reads it; leave the columns undeclared instead"
    for name in sorted({*columns, *spec.derived} & {spec.target.column, *spec.target.aliases}):
        yield f"target.column: '{name}' must not be an input column"
    for name in sorted(set(columns) & set(spec.derived)):
        yield f"derived.{name}: there is an input column of that name"
    yield from _naming_faults(spec)


def _naming_faults(spec: ProjectSpec) -> Iterator[str]:
    dataset, columns = spec.dataset, spec.dataset.columns
    names = [n for key, c in columns.items() for n in (key, *c.aliases)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"dataset.columns: '{name}' names two columns"
    for index, join in enumerate(dataset.joins):
        for name in join.columns:
            if not dataset.infer and name not in columns:
                yield f"dataset.joins.{index}.columns: '{name}' is not in dataset.columns"


def _task_faults(spec: ProjectSpec) -> Iterator[str]:
    target, task = spec.target, spec.project.task
    classes_only = target.labels or target.unlabelled or target.map or target.positive
    if task == "regression" and classes_only:
        yield "target: labels, map, positive and unlabelled belong to classification"
    if task == "classification" and (target.min is not None or target.max is not None):
        yield "target: min and max belong to regression"
    if target.transform == "log" and task == "classification":
        yield "target.transform: 'log' belongs to regression"
    elif target.transform == "log" and (target.min is None or target.min <= 0.0):
        yield "target.min: must be above 0 for transform = 'log'; 0 has no logarithm"
    bands = spec.postprocess.bands if spec.postprocess else ()
    if strangers := sorted(set(spec.batch.priorities) - set(bands)):
        yield f"batch.priorities: {strangers} are no bands of postprocess: {sorted(bands)}"
    unknown = sorted(set(target.map.values()) - set(target.labels)) if target.labels else []
    if unknown:
        yield f"target.map: {unknown} are not in target.labels"
    known = {*target.labels, *target.map.values()}
    if target.positive is not None and known and target.positive not in known:
        yield f"target.positive: '{target.positive}' is no class; allowed: {sorted(known)}"


def _decision_faults(spec: ProjectSpec) -> Iterator[str]:
    decision = spec.decision
    if spec.project.task == "regression":
        if decision.rule != "most_probable":
            yield "decision.rule: a regression decides nothing"
        if decision.prior_shift == "correct":
            yield "decision.prior_shift: a regression has no classes"
    if (decision.rule in TWO_CLASS_RULES or spec.postprocess) and spec.target.positive is None:
        rules = " and ".join(f"'{rule}'" for rule in sorted(TWO_CLASS_RULES))
        yield f"target.positive: needed by decision.rule = {rules} and by postprocess"
    if decision.prior_shift == "correct" and spec.calibration.method == "none":
        yield "decision.prior_shift: needs calibrated probabilities (calibration.method)"
    if decision.prior_shift == "correct" and spec.postprocess:
        yield "decision.prior_shift: business values are of uncorrected probabilities"


def _backend_faults(spec: ProjectSpec) -> Iterator[str]:
    """Yield the features that Glue's machines have no packages for."""
    if spec.training.backend == "glue":
        for index, feature in enumerate(spec.features):
            if isinstance(feature, EmbeddingFeature):
                yield (
                    f"features.{index}.kind: 'embedding' has its word vectors on Lambda only; use "
                    "training.backend = 'lambda' or 'sagemaker'"
                )


def _split_faults(spec: ProjectSpec) -> Iterator[str]:
    split, dataset = spec.split, spec.dataset
    if spec.project.task == "regression" and split.kind == "stratified":
        yield "split.kind: 'stratified' needs classes; allowed for regression: 'random', 'time'"
    has_order = dataset.time is not None or dataset.in_time_order
    if split.kind == "time" and not has_order:
        yield (
            "split.kind: 'time' needs dataset.time, the column that orders the rows, or "
            "dataset.in_time_order = true"
        )
    if split.kind != "time" and has_order:
        yield "dataset: only split.kind = 'time' reads time and in_time_order"
    if dataset.time is not None and dataset.in_time_order:
        yield "dataset.in_time_order: dataset.time orders the rows already"
    if split.kind == "time" and spec.retraining.rows == "since_change":
        yield (
            "retraining.rows: a split by time finds the change among the rows (training.history); "
            "leave it out"
        )
    if split.kind != "time" and spec.training.history == "all":
        yield "training.history: only split.kind = 'time' leaves old rows out"
    if dataset.time_format is not None and dataset.time is None:
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
        for part, values in (("params", candidate.params), ("space", _searched(candidate))):
            for fault in parameter_faults(candidate.algorithm, task, values):
                yield f"{where}.{part}: {fault}"
        for key in sorted(set(candidate.params) & set(candidate.space)):
            yield f"{where}: '{key}' is in params and in space; keep one"
        if leaves_gaps and not entry.accepts_missing:
            yield f"{where}.algorithm: '{candidate.algorithm}' needs imputed numbers"
        yield from _space_faults(candidate, spec.search_of(candidate).kind, where)
        yield from _own_search_faults(candidate, where)
        if candidate.resample == "smote" and task == "regression":
            yield f"{where}.resample: 'smote' needs classes"
    yield from _selection_faults(spec)
    names = [candidate.name for candidate in spec.candidates]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"candidates: the name '{name}' is used twice"


def _space_faults(candidate: CandidateSection, kind: str, where: str) -> Iterator[str]:
    if candidate.space and kind == "none":
        yield f"{where}.space: search.kind is 'none', so nothing reads it"
    if kind != "grid":
        return
    ranges = [n for n, values in candidate.space.items() if isinstance(values, SearchRange)]
    for name in ranges:
        yield f"{where}.space.{name}: search.kind is 'grid': list the values"
    n = prod(len(values) for values in candidate.space.values() if isinstance(values, tuple))
    if not ranges and n > _MOST_OF_A_GRID:
        yield f"{where}.space: {n:,} combinations; a grid may have {_MOST_OF_A_GRID}"


def _own_search_faults(candidate: CandidateSection, where: str) -> Iterator[str]:
    """Yield the settings of a candidate's own search that nothing reads."""
    if candidate.search is None:
        return
    if not candidate.space:
        yield f"{where}.search: has no effect here, it needs a space; leave it out"
    if candidate.search.kind not in ("random", "tpe"):
        for key in sorted(candidate.search.model_fields_set & {"trials", "seed"}):
            yield (
                f"{where}.search.{key}: has no effect here, it needs kind = 'random' or 'tpe'; "
                "leave it out"
            )


def _searched(candidate: CandidateSection) -> dict[str, list[Any]]:
    """Return the values that a search may try: all of a list, both ends of a range."""
    searched = {}
    for name, values in candidate.space.items():
        if isinstance(values, SearchRange):
            kind = int if values.integer else float
            searched[name] = [kind(values.low), kind(values.high)]
        else:
            searched[name] = [*values]
    return searched


def _selection_faults(spec: ProjectSpec) -> Iterator[str]:
    features = {feature.name for feature in spec.features}
    for selection, steps in spec.selections.items():
        for name in sorted({name for step in steps for name in step.names} - features):
            yield f"selections.{selection}.names: no feature '{name}'; there are: {sorted(features)}"
    for index, candidate in enumerate(spec.candidates):
        if candidate.selection and candidate.selection not in spec.selections:
            yield f"candidates.{index}.selection: '{candidate.selection}' is not in selections"
    for name in sorted(set(spec.selections) - {str(c.selection) for c in spec.candidates}):
        yield f"selections.{name}: no candidate reads it"


def _metric_faults(spec: ProjectSpec) -> Iterator[str]:
    task, evaluation = spec.project.task, spec.evaluation
    allowed = sorted(name for name, entry in METRICS.items() if task in entry.tasks)
    named = [("evaluation.primary_metric", evaluation.primary_metric)]
    named += [("evaluation.metrics", metric) for metric in evaluation.metrics]
    gates = {"promotion.gates": spec.promotion.gates, "monitoring.bounds": spec.monitoring.bounds}
    named += [(where, gate.metric) for where, found in gates.items() for gate in found]
    named += [("monitoring.watch", metric) for metric in spec.monitoring.watch]
    for where, metric in named:
        if metric not in allowed:
            yield f"{where}: unknown metric '{metric}' for {task}; allowed: {allowed}"
    for where, found in gates.items():
        yield from _bound_faults(where, found, allowed)
    if evaluation.primary_metric in allowed:
        yield from _margin_faults(spec, METRICS[evaluation.primary_metric])
    decisive = (gate.metric for found in gates.values() for gate in found)
    for metric in {evaluation.primary_metric, *decisive}:
        if metric not in evaluation.metrics:
            yield f"evaluation.metrics: must list '{metric}', which decides"
    for index, feature in enumerate(spec.features):
        if isinstance(feature, TextFeature) and feature.compatible and feature.clean == ():
            yield f"features.{index}: compatible = true needs cleaning steps"


def _bound_faults(
    where: str, gates: Sequence[GateSection], allowed: Sequence[str]
) -> Iterator[str]:
    for index, gate in enumerate(gates):
        if gate.metric in allowed:
            yield from _gate_faults(f"{where}.{index}", gate, METRICS[gate.metric])


def _gate_faults(where: str, gate: GateSection, entry: MetricEntry) -> Iterator[str]:
    """Yield the bounds that no model can meet or that every model meets: often a percentage."""
    low = "" if entry.low is None else f"at least {entry.low:g}"
    high = "" if entry.high is None else f"at most {entry.high:g}"
    allowed = " and ".join(part for part in (low, high) if part)
    for name in ("min", "max"):
        bound = getattr(gate, name)
        if bound is None:
            continue
        is_low = entry.low is not None and bound < entry.low
        if is_low or (entry.high is not None and bound > entry.high):
            yield f"{where}.{name}: {bound:g}, but {gate.metric} is {allowed}"
    if gate.min is not None and gate.max is not None and gate.min > gate.max:
        yield f"{where}: min {gate.min:g} is above max {gate.max:g}"


def _margin_faults(spec: ProjectSpec, entry: MetricEntry) -> Iterator[str]:
    """Yield the margins of the primary metric that are as wide as its whole range."""
    if entry.low is None or entry.high is None:
        return
    width, metric = entry.high - entry.low, spec.evaluation.primary_metric
    margins = {
        "promotion.min_improvement": spec.promotion.min_improvement,
        "monitoring.max_drop": spec.monitoring.max_drop,
    }
    for where, margin in margins.items():
        if margin >= width:
            yield f"{where}: {margin:g}, but {metric} ranges from {entry.low:g} to {entry.high:g}"
