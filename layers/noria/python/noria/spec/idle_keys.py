"""Keys that a spec sets and nothing reads, because another key rules them out.

A setting that does nothing is a mistake that nobody sees: whoever sets `max_age_days` believes
that the model is trained again by its age.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from noria.spec.catalog import DRIFT_RULES
from noria.spec.model import ProjectSpec


class Need(NamedTuple):
    """What some keys of a table need to have an effect."""

    table: str
    keys: tuple[str, ...]
    text: str  # what must hold
    holds: Callable[[ProjectSpec], bool]


def _is_classification(spec: ProjectSpec) -> bool:
    return spec.project.task == "classification"


def _is_calibrated(spec: ProjectSpec) -> bool:
    return spec.calibration.method != "none" and "calibration" not in spec.promotion.off


def _recalibrates(spec: ProjectSpec) -> bool:
    return spec.can_recalibrate and "calibration" in spec.retraining.on


NEEDS = (
    Need("dataset", ("pii_min_rows",), "a column marked pii", lambda s: bool(s.private_columns)),
    Need("target", ("min_rows_per_class",), "classes", _is_classification),
    Need("split", ("seed",), "kind = 'stratified' or 'random'", lambda s: s.split.kind != "time"),
    Need(
        "search",
        ("trials", "seed"),
        "kind = 'random' or 'tpe'",
        lambda s: s.search.kind in ("random", "tpe"),
    ),
    Need(
        "search",
        ("prune", "max_seconds"),
        "kind = 'random', 'tpe' or 'grid'",
        lambda s: s.search.kind != "none",
    ),
    Need(
        "search",
        ("kind",),
        "a candidate with a space, and no search of its own",
        lambda s: s.search.kind == "none" or any(c.space and not c.search for c in s.candidates),
    ),
    Need(
        "rollout",
        ("probation_risk",),
        "probation_hours above 0",
        lambda s: s.rollout.probation_hours > 0.0,
    ),
    Need(
        "rollout",
        ("probation_hours",),
        "monitoring.enabled: checks hold the new champion against the one before",
        lambda s: s.monitoring.enabled,
    ),
    Need("dataset", ("max_levels",), "dataset.infer", lambda s: s.dataset.infer),
    Need(
        "monitoring",
        ("every_hours", "retrain_every_hours"),
        "monitoring.enabled",
        lambda s: s.monitoring.enabled,
    ),
    Need(
        "retraining",
        ("how",),
        "calibrated classes, a split by time, and 'calibration' in retraining.on; or 'refit'",
        lambda s: s.retraining.how == "refit" or _recalibrates(s),
    ),
    Need("calibration", ("method",), "classes", _is_classification),
    Need("decision", ("max_share_ratio",), "classes", _is_classification),
    Need(
        "training",
        ("spot", "max_hours"),
        "backend = 'sagemaker' or 'glue'",
        lambda s: s.training.backend != "lambda",
    ),
    Need("training", ("workers",), "backend = 'glue'", lambda s: s.training.backend == "glue"),
    Need(
        "promotion",
        ("max_calibration_error",),
        "calibrated classes, and the gate 'calibration'",
        lambda s: _is_classification(s) and _is_calibrated(s),
    ),
    Need(
        "rollout",
        (
            "min_rows",
            "max_waits",
            "without_requests",
            "max_error_fraction",
            "max_latency_ratio",
            "max_latency_ms",
        ),
        "rollout.steps",
        lambda s: bool(s.rollout.steps),
    ),
    Need(
        "rollout",
        ("approval",),
        "rollout.steps: without them a winner is promoted at once, and no one is asked",
        lambda s: bool(s.rollout.steps) or s.rollout.approval == "none",
    ),
    Need(
        "rollout",
        ("approval_hours",),
        "rollout.steps and approval = 'required'",
        lambda s: bool(s.rollout.steps) and s.rollout.approval == "required",
    ),
    Need(
        "batch",
        ("on_drift", "windows_in_a_row"),
        "batch.monitored",
        lambda s: s.batch.monitored,
    ),
    Need(
        "retraining",
        ("max_age_days",),
        "'age' in retraining.on",
        lambda s: "age" in s.retraining.on,
    ),
    Need(
        "retraining",
        ("min_new_rows",),
        "'new_rows' in retraining.on",
        lambda s: "new_rows" in s.retraining.on,
    ),
)


def idle_keys(spec: ProjectSpec) -> Iterator[str]:
    """Yield each key that the spec sets without effect, with what it needs."""
    for table, keys, text, holds in NEEDS:
        found = getattr(spec, table).model_fields_set.intersection(keys)
        if found and not holds(spec):
            for key in sorted(found):
                yield f"{table}.{key}: has no effect here, it needs {text}; leave it out"
    yield from _idle_thresholds(spec)
    yield from _idle_names(spec)


def _idle_thresholds(spec: ProjectSpec) -> Iterator[str]:
    """Yield the bounds of rules that the spec does not name."""
    for key in sorted(spec.monitoring.thresholds.model_fields_set):
        rule = next(rule for rule in sorted(DRIFT_RULES) if key.startswith(rule))
        if rule not in spec.monitoring.rules:
            yield (
                f"monitoring.thresholds.{key}: has no effect here, it needs '{rule}' in "
                "monitoring.rules; leave it out"
            )


# Names in a list that only classes have: of gates, triggers and rules.
_OF_CLASSES = {
    ("promotion", "off"): {"decision", "calibration"},
    ("retraining", "on"): {"calibration", "confidence", "class_skew"},
    ("monitoring", "rules"): {"class_share", "low_confidence"},
}


def _idle_names(spec: ProjectSpec) -> Iterator[str]:
    for (table, key), names in _OF_CLASSES.items():
        section = getattr(spec, table)
        if key not in section.model_fields_set or _is_classification(spec):
            continue
        for name in sorted(names.intersection(getattr(section, key))):
            yield f"{table}.{key}: '{name}' has no effect here, it needs classes; leave it out"
    if "slices" in spec.promotion.off and not spec.evaluation.slices:
        yield "promotion.off: 'slices' has no effect here, it needs evaluation.slices; leave it out"
    known = spec.dataset.columns
    for name in () if spec.dataset.infer else sorted(spec.monitoring.ignore):
        column, _, part = name.partition(": ")  # of a text its signals: "note: terms"
        if column not in known or (part and known[column].type != "text"):
            yield f"monitoring.ignore: '{name}' is no column; there are: {sorted(known)}"
