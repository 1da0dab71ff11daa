"""Every key of a spec has an effect: set to another value, something that can be seen changes."""

import csv
import io
import json
import re
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from infra.names import ROOT
from noria.data.versions import read_dataset_manifest, read_rows
from noria.errors import AliasConflictError, NoriaError
from noria.records.codec import encode
from noria.spec import model, operations
from noria.spec.loader import parse_spec
from noria.spec.section import Section
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.storage.keys import TEST, TRAIN
from tests.support.checks import decided, new_file
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock
from tests.support.jobs import Jobs, csv_file
from tests.support.pipeline import run_training
from tests.support.production import START, Production, loan_rows, loan_spec
from tests.support.rollouts import AT, STEPS, advance, check_step

SPEC = """
[project]
name = "p"
task = "classification"
description = "rows of every kind"
[dataset]
min_rows = 20
max_rejected_fraction = 0.9
[dataset.columns]
x = { type = "number", min = 0, max = 150 }
kind = { type = "category" }
note = { type = "text", optional = true }
[target]
column = "y"
[split]
kind = "stratified"
[[features]]
name = "n"
kind = "numeric"
columns = ["x"]
[[features]]
name = "k"
kind = "categorical"
columns = ["kind"]
[[features]]
name = "t"
kind = "text"
columns = ["note"]
[[candidates]]
name = "c"
algorithm = "logistic_regression"
[evaluation]
primary_metric = "accuracy"
metrics = ["accuracy"]
"""


def _body(first, n=120):
    """Return rows with gaps, doubles, a far value, values out of range and rows without a label."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["id", "day", "x", "kind", "note", "y"])
    for k in range(first, first + n):
        x = {3: "", 7: "n/a", 11: "999", 13: "149"}.get(k % 40, str(k % 37))
        kind = "" if k % 29 == 5 else "abc"[k % 3]
        label = {4: "?", 9: "", 15: "maybe"}.get(k % 50, "yes" if k % 3 else "no")
        rows.writerow([f"i{k}", f"{1 + k % 28:02d}.01.2026", x, kind, f"text {k % 17}", label])
        if k % 30 == 0:
            rows.writerow([f"d{k}", "01.01.2026", x, kind, f"text {k % 17}", label])
    return out.getvalue().encode()


def _changed(spec, key, value):
    """Return the spec with a key of a table set."""
    table, _, name = key.rpartition(".")
    if table.count("."):
        outer, _, inner = table.partition(".")
        section = getattr(getattr(spec, outer), inner).model_copy(update={name: value})
        return _changed(spec, f"{outer}.{inner}", section)
    section = getattr(spec, table).model_copy(update={name: value})
    return spec.model_copy(update={table: section})


def _prepared(spec):
    """Return what becomes of two files of rows."""
    artifacts = MemoryArtifacts()
    for number, name in enumerate(("a.csv", "b.csv")):
        artifacts.put(f"inbox/{name}", _body(120 * number))
    request = PrepareDatasetRequest("p", "r", ("inbox/b.csv", "inbox/a.csv"))
    found = prepare_dataset(request, spec=spec, artifacts=artifacts)
    shown = {"accepted": found.accepted, "reasons": found.reasons, "plan": found.plan}
    if found.dataset_version:
        version = found.dataset_version
        shown |= {part: read_rows(artifacts, "p", version, part) for part in (TRAIN, TEST)}
        shown["manifest"] = encode(read_dataset_manifest(artifacts, "p", version))
    return json.dumps(shown, sort_keys=True, default=str)


BY_DAY = {"dataset.time": "day", "dataset.time_format": "%d.%m.%Y", "split.kind": "time"}
REGRESSION = {"project.task": "regression", "target.column": "x", "split.kind": "random",
              "dataset.columns": {"kind": model.ColumnSpec(type="category")}, "features": ("k",)}  # fmt: skip
GLUE = {"training.backend": "glue"}
PREPARED = [
    # key, another value, what else is set in both
    ("dataset.drop", ("note", "kind", "id", "day"), {"dataset.infer": True, "dataset.columns": {}}),
    ("dataset.infer", True, {"dataset.columns": {}, "dataset.drop": ("id", "day")}),
    ("dataset.max_levels", 2, {"dataset.infer": True, "dataset.columns": {}}),
    ("dataset.id", "id", {}),
    (
        "dataset.time",
        "day",
        {"dataset.time_format": "%d.%m.%Y", "split.kind": "time", "dataset.in_time_order": True},
    ),
    ("dataset.time_format", "%m.%d.%Y", BY_DAY),
    ("dataset.window_files", 1, {}),
    ("dataset.in_time_order", True, {"split.kind": "time", "training.history": "all"}),
    ("dataset.max_rows", 100, {}),
    ("dataset.delimiter", ";", {}),
    ("dataset.missing", ("", "n/a"), {}),
    ("dataset.missing_rows", "drop", {}),
    ("dataset.duplicates", "keep", {}),
    ("dataset.min_rows", 500, {}),
    ("dataset.max_rejected_fraction", 0.01, {}),
    ("dataset.max_bytes", 2000, {}),
    ("dataset.filters", (model.FilterSection(column="x", min=5),), {}),
    ("dataset.outliers", model.OutlierSection(method="zscore", threshold=3.0), {}),
    ("target.aliases", ("y",), {"target.column": "label"}),
    ("target.labels", ("yes", "no"), {}),
    ("target.map", {"maybe": "no", "yes": "yes", "no": "no"}, {}),
    ("target.unlabelled", ("?",), {}),
    ("target.min_rows_per_class", 60, {}),
    ("split.kind", "random", {}),
    ("project.task", "regression", {}),
    ("project.description", "others", {}),
    ("project.owner", "the service desk", {}),
    ("dataset.columns", {"x": model.ColumnSpec(type="number")}, {}),
    ("target.column", "kind", {}),
    ("target.min", 10.0, REGRESSION),
    ("target.max", 30.0, REGRESSION),
    ("training.backend", "glue", {}),
    ("training.instance_type", "G.8X", GLUE),
    ("training.workers", 5, GLUE),
    ("training.spot", True, GLUE),
    ("training.max_hours", 1.0, GLUE),
    ("training.serve", "refitted", {}),
    ("split.test_fraction", 0.4, {}),
    ("split.seed", 7, {}),
]


@pytest.mark.parametrize(("key", "value", "beside"), PREPARED, ids=[case[0] for case in PREPARED])
def test_rows_become_others(key, value, beside):
    """Which are read, refused, kept, held out."""
    spec = _base(beside)
    assert _run(_prepared, _changed(spec, key, value)) != _run(_prepared, spec)


def _trained(spec):
    """Return what becomes of a run: candidates, choice, evidence, decision."""
    artifacts = MemoryArtifacts()
    artifacts.put("inbox/a.csv", _body(0, 240))
    run = run_training(
        spec, ["inbox/a.csv"], "r",
        artifacts=artifacts, aliases=MemoryAliases(), clock=SteppingClock(),
    )  # fmt: skip
    kept = ("selection.json", "evaluation.json", "decision.json", "result.json", "bundle.json")
    shown = {k: v.decode() for k, v in artifacts.objects.items() if k.endswith(kept)}
    return _without_spec(json.dumps([str(run), sorted(shown.items())]))


def _without_spec(text):
    """Return what a run shows without the hash of its spec, which every key changes."""
    return re.sub(r"[0-9a-f]{64}|run-[0-9a-f]{8}|r-[0-9a-f]{8}", "", text)


SEARCHED = {"candidates": ({"params": {}, "space": {"C": (0.001, 0.1, 1.0, 30.0)}},)}
GRID = {**SEARCHED, "search.kind": "random", "search.trials": 2}
POSITIVE = {"target.positive": "yes", "target.labels": ("no", "yes"), "target.map": {"maybe": "no", "yes": "yes", "no": "no"},
            "target.unlabelled": ("?",)}  # fmt: skip
TRAINED = [
    (
        "target.positive",
        "no",
        {**POSITIVE, "decision.rule": "threshold", "decision.threshold": 0.7},
    ),
    ("calibration.method", "none", {}),
    (
        "decision.rule",
        "tuned",
        {"evaluation.primary_metric": "f1_macro", "evaluation.metrics": ("f1_macro",)},
    ),
    (
        "decision.threshold",
        0.9,
        {**POSITIVE, "decision.rule": "threshold", "decision.threshold": 0.5},
    ),
    ("decision.share", 0.2, {**POSITIVE, "decision.rule": "top_share", "decision.share": 0.6}),
    (
        "decision.costs",
        {"yes": {"no": 20.0}},
        {"decision.rule": "cost", "decision.costs": {"no": {"yes": 1.0}}},
    ),
    ("search.kind", "random", SEARCHED),
    ("search.trials", 3, GRID),
    ("search.seed", 9, GRID),
    ("evaluation.primary_metric", "log_loss", {"evaluation.metrics": ("accuracy", "log_loss")}),
    ("evaluation.metrics", ("accuracy", "f1_macro"), {}),
    ("evaluation.folds", 3, {}),
    ("evaluation.bootstrap_replicates", 300, {}),
    ("evaluation.confidence", 0.8, {}),
    ("evaluation.min_test_rows", 70, {}),
    ("evaluation.slices", ("kind",), {}),
    ("promotion.gates", (operations.GateSection(metric="accuracy", min=0.99),), {}),
    ("promotion.off", ("decision", "calibration"), {}),
    ("promotion.max_calibration_error", 0.0001, {}),
]


@pytest.mark.parametrize(("key", "value", "beside"), TRAINED, ids=[case[0] for case in TRAINED])
def test_a_training_ends_otherwise(key, value, beside):
    """What is searched, chosen, proved, promoted."""
    spec = _base(beside)
    assert _run(_trained, _changed(spec, key, value)) != _run(_trained, spec)


def _scored(spec):
    """Return what becomes of a file: plan, results, outcome."""
    jobs = Jobs(is_watched=True)
    jobs.spec = spec
    planned = jobs.plan(csv_file(450, bad={3, 9, 11}, n_values=4))
    for part in range(planned.n_parts):
        jobs.score(planned.job_id, part)
    closed = jobs.close(check=jobs.check(planned.job_id) if planned.n_parts else None)
    results = jobs.store.get(closed.result_key) if closed.result_key else b""
    return str((planned, closed, results, encode(jobs.outcome())))


SCORED = [
    ("batch.id_columns", (), {}),
    ("batch.include_inputs", True, {}),
    ("batch.rows_per_part", 200, {}),
    ("batch.max_concurrency", 3, {}),
    ("batch.max_rows", 300, {}),
    ("batch.max_bytes", 1000, {}),
    ("batch.max_refused_fraction", 0.001, {}),
    ("batch.on_refused", "hold", {"batch.max_refused_fraction": 0.001}),
    ("batch.format", "jsonl", {}),
    ("batch.results", "overwritten", {}),
    ("batch.monitored", False, {}),
    ("batch.on_drift", "hold", {}),
]


@pytest.mark.parametrize(("key", "value", "beside"), SCORED, ids=[case[0] for case in SCORED])
def test_a_file_is_scored_otherwise(key, value, beside):
    """Its parts, its results, its end."""
    spec = Jobs().spec
    for name, setting in beside.items():
        spec = _changed(spec, name, setting)
    assert _run(_scored, _changed(spec, key, value)) != _run(_scored, spec)


def _tried(spec):
    """Return how a rollout goes, by what its challenger does."""
    shown = []
    for rows, n_failed, answers in (
        (30, 0, {}),
        (60, 0, {"answer": "yes"}),
        (60, 0, {"latency_ms": 60.0}),
        (60, 0, {"latency_ms": 250.0}),
        (60, 6, {}),
        (0, 0, {}),
    ):
        p = Production()
        p.spec = spec
        p.add_version("v2")
        shown.append(str(advance(p, 0, 1)))
        p.log(loan_rows(rows, seed=8), AT, latency_ms=10.0)
        p.log(loan_rows(rows, seed=8), AT, version="v2", **({"latency_ms": 10.0} | answers))
        p.log(loan_rows(n_failed, seed=9), AT, version="v2", failed=True)
        shown += [str(check_step(p, n_waits)) for n_waits in (0, 2)]
        with suppress(AliasConflictError):  # it was taken back
            shown.append(str(advance(p, 2, 2)))
    return str(shown)


TRIED = [
    ("rollout.steps", (STEPS[0].model_copy(update={"fraction": 0.4}),)),
    ("rollout.min_rows", 20),
    ("rollout.max_waits", 1),
    ("rollout.without_requests", "pass"),
    ("rollout.max_error_fraction", 0.5),
    ("rollout.max_latency_ratio", 30.0),
    ("rollout.max_latency_ms", 20.0),
    ("rollout.approval", "required"),
    ("rollout.approval_hours", 3.0),
]


@pytest.mark.parametrize(("key", "value"), TRIED, ids=[case[0] for case in TRIED])
def test_a_rollout_goes_otherwise(key, value):
    """Its steps, its waits, its end."""
    spec = _changed(Production().spec, "rollout.steps", STEPS)
    assert _run(_tried, _changed(spec, key, value)) != _run(_tried, spec)


def _checked(spec):
    """Return what a day of traffic with labels, a change and new files lead to."""
    p = Production()
    p.spec = spec
    for hour, n, shift in ((0, 150, 0.0), (10, 150, 0.0), (26, 90, 0.45), (27, 90, 0.45)):
        p.log(loan_rows(n, seed=100 + hour, shift=shift), START + timedelta(hours=hour))
    rows = loan_rows(120, seed=78)
    ids = p.log(rows, START + timedelta(hours=27))
    labels = ["yes" if t else "no" for t in p.truth(rows, seed=5, flip=True)]
    p.label(ids[:60], labels[:60], START + timedelta(hours=27))
    p.label(ids[60:], labels[60:], START + timedelta(hours=20))
    p.file_rows(rows[:40], [f"c{n}" for n in range(40)], START - timedelta(days=5))
    p.label([f"c{n}" for n in range(40)], labels[:40], START + timedelta(hours=27), by="record_id")
    new_file(p)
    for hours in (28, 32, 53):
        decided(p, START + timedelta(hours=hours), f"c{hours}")
        new_file(p, f"new-{hours}.csv")
    return str(sorted((k, v) for k, v in p.store.objects.items() if k.startswith("monitoring/")))


CHECKED = [
    ("monitoring.short_window_hours", 3, {}),
    ("monitoring.window_hours", 12, {}),
    ("monitoring.min_rows", 2000, {}),
    ("monitoring.alpha", 1e-9, {}),
    ("monitoring.windows_in_a_row", 5, {}),
    ("monitoring.effects", {"ks": 0.5}, {}),
    ("monitoring.ignore", ("x",), {}),
    ("monitoring.rules", ("mean_shift",), {}),
    ("monitoring.min_labels", 500, {}),
    ("monitoring.label_hours", 6, {}),
    ("monitoring.record_id_days", 1, {}),
    ("monitoring.max_drop", 0.9, {}),
    ("monitoring.watch", ("roc_auc",), {}),
    ("monitoring.max_outside_fraction", 0.001, {}),
    ("retraining.on", ("age",), {}),
    ("retraining.how", "refit", {}),
    ("retraining.rows", "since_change", {}),
    ("retraining.row_age_hours", 1.0, {"retraining.rows": "since_change"}),
    ("retraining.cool_down_hours", 2, {}),
    ("retraining.max_per_day", 1, {"retraining.cool_down_hours": 2}),
    ("retraining.max_age_days", 0.5, {"retraining.on": ("age",)}),
    ("retraining.min_new_rows", 100, {"retraining.on": ("new_rows",)}),
]


@pytest.mark.parametrize(("key", "value", "beside"), CHECKED, ids=[case[0] for case in CHECKED])
def test_a_check_says_otherwise(key, value, beside):
    """What is found, how sure, what is decided."""
    spec = loan_spec()
    for name, setting in beside.items():
        spec = _changed(spec, name, setting)
    assert _run(_checked, _changed(spec, key, value)) != _run(_checked, spec)


# What needs more than these flows has a test of its own, that sets the key.
ELSEWHERE = {
    ("unit/noria/spec/test_loader.py", "test_a_wrong_spec_is_refused_with_file_path_and_reason"): (
        "project.name",
    ),
    ("unit/noria/spec/test_loader.py", "test_schedules_are_the_specs"): (
        "monitoring.enabled",
        "monitoring.every_hours",
        "monitoring.retrain_every_hours",
    ),
    ("unit/noria/data/test_joins.py", "test_rows_get_the_tables_columns_under_their_own_names"): (
        "dataset.joins",
    ),
    (
        "unit/noria/training/test_contracts.py",
        "test_a_row_may_have_as_many_gaps_as_the_spec_says_or_training_had",
    ): ("dataset.max_missing_fraction",),
    (
        "training/steps/test_evaluate_challenger.py",
        "test_rare_levels_of_a_personal_column_are_no_slices",
    ): ("dataset.pii_min_rows",),
    (
        "training/projects/test_log_target.py",
        "test_a_linear_model_of_the_logarithm_predicts_prices_in_their_unit",
    ): ("target.transform",),
    ("training/steps/test_check_refit.py", "test_a_degenerate_decision_of_the_refit_is_replaced"): (
        "decision.max_share_ratio",
    ),
    (
        "unit/noria/training/test_prior_shift.py",
        "test_the_decision_corrects_only_where_the_spec_asks_and_training_shows_that_it_helps",
    ): ("decision.prior_shift",),
    (
        "unit/noria/training/test_search.py",
        "test_laggards_are_given_up_after_a_fold_and_never_win",
    ): ("search.prune",),
    (
        "unit/noria/training/test_search.py",
        "test_no_trial_starts_after_the_time_budget_and_one_always_runs",
    ): ("search.max_seconds",),
    ("training/steps/test_prepare_dataset.py", "test_a_project_may_keep_every_row"): (
        "training.history",
    ),
    ("unit/noria/promotion/test_gate.py", "test_each_rule_on_each_side_of_its_bound"): (
        "promotion.min_improvement",
    ),
    (
        "unit/noria/steps/test_write_monitoring_report.py",
        "test_how_long_a_suspicion_may_wait_is_a_key_of_the_spec",
    ): ("monitoring.suspicion_hours",),
    (
        "unit/noria/steps/test_write_monitoring_report.py",
        "test_requests_that_fail_or_wait_are_told_with_the_bound",
    ): ("alerts.max_failed_fraction", "alerts.max_latency_ms"),
    ("unit/noria/monitoring/test_rules.py", "test_each_bound_of_a_rule_is_a_key_of_the_spec"): (
        "monitoring.thresholds",
    ),
    (
        "unit/noria/api/test_predictions.py",
        "test_a_personal_record_id_is_logged_as_the_hash_that_its_label_is_filed_under",
    ): ("monitoring.pii",),
    (
        "unit/noria/steps/test_check_performance.py",
        "test_a_champion_that_keeps_its_bound_no_longer_is_degraded",
    ): ("monitoring.bounds",),
    (
        "unit/noria/steps/test_promote_challenger.py",
        "test_the_champion_before_answers_beside_the_new_one_while_it_is_on_probation",
    ): ("rollout.probation_hours",),
    ("unit/noria/steps/test_end_probation.py", "test_the_risk_says_how_much_evidence_is_needed"): (
        "rollout.probation_risk",
    ),
    (
        "unit/noria/steps/test_notify.py",
        "test_a_channel_that_refuses_for_good_does_not_silence_the_others",
    ): ("alerts.channels",),
    (
        "unit/noria/steps/test_raise_alert.py",
        "test_quiet_levels_are_left_out_where_the_spec_says_so",
    ): ("alerts.min_level",),
    (
        "unit/noria/steps/test_raise_alert.py",
        "test_an_hour_has_a_cap_and_the_next_alert_says_what_it_held_back",
    ): ("alerts.max_per_hour",),
    (
        "unit/noria/steps/test_close_batch.py",
        "test_worth_and_bands_come_with_each_row_and_add_up",
    ): ("batch.priorities",),
    ("unit/noria/access/test_limits.py", "test_each_limit_holds_its_routes_and_no_others"): tuple(
        f"limits.{name}" for name in operations.LimitsSection.model_fields
    ),
    (
        "infra/test_schedules.py",
        "test_a_project_with_a_schedule_of_batches_has_it_and_others_have_none",
    ): ("batch.schedule",),
    (
        "unit/noria/steps/test_check_batch.py",
        "test_one_file_confirms_unless_the_spec_asks_for_more",
    ): ("batch.windows_in_a_row",),
}


@cache
def _tests(path):
    return set(re.findall(r"^def (test_\w+)", Path(ROOT, "tests", path).read_text(), re.MULTILINE))


@pytest.mark.parametrize(("path", "name"), sorted(ELSEWHERE))
def test_a_key_that_is_set_elsewhere_has_its_test(path, name):
    """By file and name."""
    assert name in _tests(path)


def _all_keys():
    for table, field in model.ProjectSpec.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            yield from (f"{table}.{name}" for name in section.model_fields)


def test_every_key_of_every_table_is_tried():
    """A new one has an effect that a test shows, or it is not merged."""
    here = {case[0] for cases in (PREPARED, TRAINED, SCORED, TRIED, CHECKED) for case in cases}
    elsewhere = {key for keys in ELSEWHERE.values() for key in keys}
    assert here.isdisjoint(elsewhere)
    assert here | elsewhere == set(_all_keys())


def _base(beside):
    spec = parse_spec(SPEC, source="p.toml")
    for name, setting in beside.items():
        if name == "candidates":
            spec = _candidate(spec, setting)
        elif name == "features":
            kept = tuple(feature for feature in spec.features if feature.name in setting)
            spec = spec.model_copy(update={"features": kept})
        else:
            spec = _changed(spec, name, setting)
    return spec


def _candidate(spec, changes):
    (only,) = spec.candidates
    return spec.model_copy(update={"candidates": (only.model_copy(update=changes[0]),)})


_SHOWN = {}  # of each flow and spec: many keys are held against the same one


def _run(flow, spec):
    """Return what a flow shows, also where it fails."""
    known = flow.__name__, repr(spec)
    if known not in _SHOWN:
        try:
            _SHOWN[known] = flow(spec)
        except NoriaError as error:  # a refusal can be seen too
            _SHOWN[known] = f"{type(error).__name__}: {error}"
    return _SHOWN[known]
