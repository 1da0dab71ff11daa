"""A key that nothing reads in its context is refused like an unknown one."""

import pytest

from infra.names import SPECS, project_names
from noria.errors import InvalidSpecError
from noria.spec.catalog import DRIFT_RULES
from noria.spec.idle_keys import NEEDS, idle_keys
from noria.spec.loader import load_spec, parse_spec
from noria.spec.operations import ThresholdsSection
from tests.support.jobs import SPEC as REGRESSION
from tests.support.specs import QUICK_TICKETS

BY_TIME = QUICK_TICKETS.replace('[split]\nkind = "stratified"', '[split]\nkind = "time"').replace(
    "min_rows = 50", "min_rows = 50\nin_time_order = true"
)


STEPS = 'rollout.steps = [{ mode = "canary", fraction = 0.1, bake_minutes = 5 }]'
SPACE = QUICK_TICKETS.replace("params = { C = 5.0 }", "space = { C = [1.0, 5.0] }")
SEARCHED = f'{SPACE}[search]\nkind = "random"\n'
UNWATCHED = "\n[batch]\nmonitored = false\n"
OFF = "[monitoring]\nenabled = false\n"


def _with(text, line):
    """Return a spec's text with a key of a table set: "table.key = value"."""
    table, _, setting = line.partition(".")
    if f"[{table}]" in text:
        return text.replace(f"[{table}]", f"[{table}]\n{setting}", 1)
    return f"{text}\n[{table}]\n{setting}\n"


@pytest.mark.parametrize(
    ("text", "line", "needed"),
    [
        (REGRESSION, "dataset.pii_min_rows = 3", None),
        (REGRESSION, "target.min_rows_per_class = 20", None),
        (BY_TIME, "split.seed = 7", None),
        (QUICK_TICKETS, "search.trials = 20", SEARCHED),
        (QUICK_TICKETS, "search.seed = 7", SEARCHED),
        (QUICK_TICKETS, "search.prune = false", SEARCHED),
        (QUICK_TICKETS, "search.max_seconds = 60", SEARCHED),
        (REGRESSION, 'calibration.method = "sigmoid"', None),
        (REGRESSION, "decision.max_share_ratio = 4", None),
        (QUICK_TICKETS, "training.spot = true", 'training.backend = "sagemaker"'),
        (QUICK_TICKETS, "training.max_hours = 2", 'training.backend = "glue"'),
        (QUICK_TICKETS, "training.workers = 4", 'training.backend = "glue"'),
        (REGRESSION, "promotion.max_calibration_error = 0.2", None),
        (QUICK_TICKETS, 'rollout.approval = "required"', STEPS),
        (QUICK_TICKETS, "rollout.approval_hours = 2", f'{STEPS}\napproval = "required"'),
        (QUICK_TICKETS, 'search.kind = "random"', SPACE),
        (QUICK_TICKETS, "dataset.max_levels = 9", "dataset.infer = true"),
        (QUICK_TICKETS + OFF, "monitoring.every_hours = 2", None),
        (QUICK_TICKETS + OFF, "monitoring.retrain_every_hours = 2", None),
        (REGRESSION, 'retraining.how = "search"', BY_TIME),
        *(
            (
                QUICK_TICKETS,
                f"rollout.{setting}",
                STEPS,
            )
            for setting in (
                "min_rows = 99", "max_waits = 2", "max_error_fraction = 0.02",
                "max_latency_ratio = 2", 'without_requests = "pass"', "max_latency_ms = 50",
            )
        ),
        (QUICK_TICKETS + UNWATCHED, 'batch.on_drift = "hold"', None),
        (QUICK_TICKETS + UNWATCHED, "batch.windows_in_a_row = 2", None),
        (QUICK_TICKETS, "rollout.probation_risk = 0.05", "rollout.probation_hours = 24"),
        (QUICK_TICKETS + OFF, "rollout.probation_hours = 24", None),
        (QUICK_TICKETS, "retraining.max_age_days = 3", 'retraining.on = ["age"]'),
        (QUICK_TICKETS, "retraining.min_new_rows = 3", 'retraining.on = ["new_rows"]'),
    ],
)  # fmt: skip
def test_a_key_without_effect_is_refused_and_says_what_it_needs(text, line, needed):
    """With what it needs it is taken; without `needed` another kind of project takes it."""
    key = line.partition(" =")[0]
    with pytest.raises(InvalidSpecError, match=f"{key}: has no effect here, it needs "):
        parse_spec(_with(text, line), source="x")
    other = QUICK_TICKETS
    if needed is not None:
        other = needed if "[project]" in needed else _with(text, needed)
    parse_spec(_with(other, line), source="x")


def test_every_need_is_tried_and_of_keys_that_are_there():
    """A key that was renamed would never be refused."""
    for table, keys, _, _ in NEEDS:
        section = type(getattr(parse_spec(QUICK_TICKETS, source="x"), table))
        assert set(keys) <= set(section.model_fields), table
    tried = {line.partition(" =")[0] for _, line, _ in _cases()}
    assert tried == {f"{table}.{key}" for table, keys, _, _ in NEEDS for key in keys}


def _cases():
    marks = test_a_key_without_effect_is_refused_and_says_what_it_needs.pytestmark
    return next(mark.args[1] for mark in marks if mark.name == "parametrize")


@pytest.mark.parametrize("key", sorted(ThresholdsSection.model_fields))
def test_a_bound_of_a_rule_that_is_not_named_is_refused(key):
    """With the rule it is taken."""
    rule = next(rule for rule in sorted(DRIFT_RULES) if key.startswith(rule))
    value = '"from"' if key.endswith("breaks") else "1.5" if "growth" in key else "0.25"
    bound = f"[monitoring.thresholds]\n{key} = {value}\n"
    with pytest.raises(InvalidSpecError, match=f"thresholds.{key}: has no effect here.*'{rule}'"):
        parse_spec(f"{QUICK_TICKETS}\n[monitoring]\nrules = []\n{bound}", source="x")
    parse_spec(f'{QUICK_TICKETS}\n[monitoring]\nrules = ["{rule}"]\n{bound}', source="x")


def test_defaults_are_never_idle():
    """Only what the spec sets itself."""
    spec = parse_spec(REGRESSION, source="x")
    assert not list(idle_keys(spec))


@pytest.mark.parametrize("name", project_names())
def test_no_deployed_spec_has_one(name):
    """Housing had `max_age_days` without "age" in `on`: it was never trained again by its age."""
    assert not list(idle_keys(load_spec(SPECS / f"{name}.toml")))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (REGRESSION, 'promotion.off = ["decision"]', "promotion.off: 'decision' has no effect"),
        (QUICK_TICKETS, 'promotion.off = ["slices"]', "promotion.off: 'slices' has no effect"),
        (REGRESSION, 'retraining.on = ["calibration"]', "retraining.on: 'calibration' has no"),
        (REGRESSION, 'monitoring.rules = ["class_share"]', "monitoring.rules: 'class_share' has"),
        (REGRESSION, 'monitoring.ignore = ["xx"]', "monitoring.ignore: 'xx' is no column"),
        (REGRESSION, 'monitoring.ignore = ["x: terms"]', "'x: terms' is no column"),
    ],
)
def test_a_name_in_a_list_that_means_nothing_here_is_refused(text, line, said):
    """The defaults hold such names for projects that can use them."""
    with pytest.raises(InvalidSpecError, match=said):
        parse_spec(_with(text, line), source="x")


@pytest.mark.parametrize("setting", ['otherwise = "x"', 'separator = ";"', "threshold = 2.0"])
def test_a_setting_of_another_derivation_is_refused(setting):
    """Each kind has its own."""
    text = QUICK_TICKETS.replace(
        "[target]",
        f'[derived]\nsize = {{ from = "close_notes", as = "length", {setting} }}\n[target]',
    )
    with pytest.raises(InvalidSpecError, match=f"reads no {setting.partition(' ')[0]}"):
        parse_spec(text, source="x")


def test_the_signals_of_a_text_may_move_by_name():
    """As findings show them."""
    parse_spec(_with(QUICK_TICKETS, 'monitoring.ignore = ["close_notes: terms"]'), source="x")
