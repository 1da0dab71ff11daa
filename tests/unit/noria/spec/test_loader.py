import pytest
from pydantic import ValidationError

from infra.config import schedules
from infra.names import SPECS, project_names
from noria.errors import InvalidSpecError, UnknownProjectError
from noria.evaluation import metrics
from noria.spec.algorithms import ALGORITHMS, parameter_faults
from noria.spec.catalog import METRICS
from noria.spec.loader import load_project, parse_spec, spec_hash
from noria.spec.model import TrainingSection
from noria.training.algorithms import BUILDERS
from tests.conftest import PROJECTS
from tests.support.specs import QUICK_TICKETS


def _broken(old: str, new: str) -> str:
    assert old in QUICK_TICKETS
    return QUICK_TICKETS.replace(old, new)


@pytest.mark.parametrize("name", project_names())
def test_every_deployed_spec_is_valid(name):
    """A spec that does not load would fail at its first run, on AWS."""
    assert load_project(name, PROJECTS).name == name


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[promotion]", "[promotion]\ncooldown = 3", "promotion.cooldown: unknown key"),
        ("folds = 2", "folds = 1", "evaluation.folds"),
        ('"random_forest"', '"deep_thought"', "allowed: ['decision_tree'"),
        ('["f1_weighted", "accuracy"]', '["f1_weighted", "magic"]', "unknown metric 'magic'"),
        (
            'columns = ["short_description", "close_notes"]',
            'columns = ["nope"]',
            "'nope' is no column",
        ),
        ("close_notes = {", 'unused = { type = "number" }\nclose_notes = {', "no feature reads it"),
        ("[promotion]", '[monitoring]\nrules = ["hunch"]\n[promotion]', "unknown rule ['hunch']"),
        ("[promotion]", "[monitoring]\neffects = { tau = 1 }\n[promotion]", "unknown statistic"),
        (
            "[promotion]",
            "[monitoring]\nshort_window_hours = 24\nwindow_hours = 6\n[promotion]",
            "must not exceed",
        ),
        ("[promotion]", '[retraining]\non = ["boredom"]\n[promotion]', "unknown trigger"),
        (
            "[promotion]",
            '[rollout]\nsteps = [{ mode = "canary", fraction = 1.5, bake_minutes = 1 }]\n[promotion]',
            "rollout.steps.0.fraction",
        ),
        (
            "[promotion]",
            '[rollout]\nsteps = [{ mode = "canary", fraction = 1, bake_minutes = 1 }]\n[promotion]',
            "leaves none of the champion to compare with",
        ),
        ("[promotion]", '[batch]\npriorities = { top = "call" }\n[promotion]', "are no bands"),
        ("[promotion]", '[alerts]\nchannels = ["pigeon"]\n[promotion]', "alerts.channels.0"),
        ('kind = "stratified"', 'kind = "time"', "needs dataset.time"),
        (
            'kind = "stratified"',
            'kind = "time"\n[retraining]\nrows = "since_change"',
            "finds the change among the rows",
        ),
        ("[promotion]", '[training]\nhistory = "all"\n[promotion]', "leaves old rows out"),
        (
            "[promotion]",
            '[decision]\nrule = "top_share"\nshare = 0.1\n[promotion]',
            "target.positive: needed by decision.rule = 'threshold' and 'top_share'",
        ),
        (
            "[promotion]",
            '[decision]\nrule = "tuned"\nprior_shift = "correct"\n[promotion]',
            "does not go with rule = 'tuned'",
        ),
        (
            "[promotion]",
            '[calibration]\nmethod = "none"\n[decision]\nprior_shift = "correct"\n[promotion]',
            "decision.prior_shift: needs calibrated probabilities",
        ),
        ("n_estimators = 10", "n_trees = 10", "'n_trees' is no parameter"),
        ('name = "forest"', 'name = "logistic"', "used twice"),
        ("C = 5.0 }", "C = 5.0 }\nspace = { l1_ratio = [0, 1] }", "search.kind is 'none'"),
        (
            "C = 5.0 }",
            '}\nspace = { C = { low = 1.0, high = 5.0 } }\n[search]\nkind = "grid"',
            "candidates.0.space.C: search.kind is 'grid': list the values",
        ),
        (
            "C = 5.0 }",
            f'}}\nspace = {{ C = {[*range(1, 502)]} }}\n[search]\nkind = "grid"',
            "501 combinations; a grid may have 500",
        ),
        ('type = "text", required = true', 'type = "text", min = 1', "columns of type 'number'"),
        ('"etiqueta"', '"close_notes"', "must not be an input column"),
        ('name = "quick"', 'name = "other"', "must equal the file's name 'quick'"),
        ("[target]", "[target]\nmax = 3", "belong to regression"),
        ("[target]", '[target]\ntransform = "log"', "'log' belongs to regression"),
        ("[project]", "[project", "not valid TOML"),
        ("close_notes = {", '_target = { type = "text" }\nclose_notes = {', "_target"),
        ('stemming = "spanish"', 'replace = [["(", ""]]', "not a regular expression"),
        ("n_estimators = 10", 'n_estimators = "many"', "n_estimators = 'many': must be a whole"),
        ("n_estimators = 10", "n_estimators = 2.5", "must be a whole number of at least 1"),
        ("n_estimators = 10", "max_features = 1.5", "or 'sqrt' or 'log2'"),
        ("C = 5.0", "C = 0", "C = 0: must be a number above 0"),
        ("C = 5.0", "C = true", "C = True: must be a number"),
        ("C = 5.0", 'solver = "guess"', "solver = 'guess'"),
        ('metric = "f1_weighted", min = 0.6', 'metric = "f1_weighted", min = 60', "at most 1"),
        (
            'metric = "f1_weighted", min = 0.6',
            'metric = "f1_weighted", min = 0.9, max = 0.6',
            "promotion.gates.0: min 0.9 is above max 0.6",
        ),
        ("min_improvement = 0.01", "min_improvement = 1.5", "f1_weighted ranges from 0 to 1"),
        ("[promotion]", "[monitoring]\nmax_drop = 5\n[promotion]", "monitoring.max_drop: 5"),
        (
            "C = 5.0 }",
            "C = 5.0 }\nspace = { n = { low = 1.5, high = 3, integer = true } }",
            "whole",
        ),
    ],
)
def test_a_wrong_spec_is_refused_with_file_path_and_reason(old, new, said):
    """The error names what to fix and where."""
    with pytest.raises(InvalidSpecError) as caught:
        parse_spec(_broken(old, new), source="quick.toml")
    assert said in caught.value.message
    assert caught.value.message.startswith("quick.toml")


def test_all_faults_are_named_at_once():
    """All errors of a spec are shown at once."""
    text = _broken('columns = ["short_description", "close_notes"]', 'columns = ["nope"]')
    with pytest.raises(InvalidSpecError) as caught:
        parse_spec(text.replace('"random_forest"', '"nope"'), source="quick.toml")
    assert len(caught.value.details["faults"]) >= 3


def test_the_hash_is_of_the_meaning_not_of_the_text():
    """A comment does not make another spec; a value does."""
    same = spec_hash(parse_spec("# a comment\n" + QUICK_TICKETS, source="quick.toml"))
    assert same == spec_hash(parse_spec(QUICK_TICKETS, source="quick.toml"))
    other = parse_spec(_broken("C = 5.0", "C = 4.0"), source="quick.toml")
    assert same != spec_hash(other)


def test_what_is_derived_from_a_personal_column_is_personal_too():
    """A year of birth is in few rows, and says nearly as much as the day."""
    text = QUICK_TICKETS.replace(
        "[target]",
        'born = { type = "time", pii = true }\n[derived]\n'
        'year = { from = "born", as = "year" }\n'
        'age = { from = "year", as = "length" }\n'
        'length = { from = "close_notes", as = "length" }\n[target]',
    ).replace(
        "[[candidates]]",
        '[[features]]\nname = "born"\nkind = "categorical"\ncolumns = ["year"]\n'
        '[[features]]\nname = "size"\nkind = "numeric"\ncolumns = ["length", "age"]\n[[candidates]]',
        1,
    )
    spec = parse_spec(text, source="quick.toml")
    assert spec.private_columns == {"short_description", "born", "year", "age"}


def test_an_unknown_project_names_the_deployed_ones():
    """A typo is answered with what exists."""
    with pytest.raises(UnknownProjectError, match="customers, housing, messages, tickets"):
        load_project("ticket", PROJECTS)


def test_what_a_search_may_try_is_checked_like_a_fixed_parameter():
    """Both ends of a range and every value of a list, before the first trial."""
    text = QUICK_TICKETS + '[search]\nkind = "random"\n'
    for space, said in (
        ("max_depth = { low = 0, high = 9, integer = true }", "max_depth = 0: must be a whole"),
        ('max_features = ["sqrt", "cube"]', "max_features = 'cube'"),
    ):
        changed = text.replace(
            "n_estimators = 10 }", f"n_estimators = 10 }}\nspace = {{ {space} }}"
        )
        with pytest.raises(InvalidSpecError, match=r"candidates\.1\.space") as caught:
            parse_spec(changed, source="quick.toml")
        assert said in caught.value.message


def test_class_weights_belong_to_classification():
    """A regression has none; its estimators refuse them only when they are fitted."""
    faults = list(parameter_faults("random_forest", "regression", {"class_weight": "balanced"}))
    assert faults == ["'class_weight' belongs to classification"]


def test_catalog_and_implementations_agree():
    """What a spec may name exists, and what exists may be named."""
    assert set(ALGORITHMS) == set(BUILDERS)
    assert set(METRICS) == set(metrics.METRICS)


@pytest.mark.parametrize("name", project_names())
def test_schedules_are_the_specs(name):
    """CDK reads the file without the domain; both must mean the same."""
    monitoring = load_project(name, PROJECTS).monitoring
    found = schedules()[name]
    for field in found._fields:
        assert getattr(found, field) == getattr(monitoring, field)


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"backend": "glue", "instance_type": "ml.m5.xlarge"}, "none of backend 'glue'"),
        ({"backend": "sagemaker", "instance_type": "G.2X"}, "none of backend 'sagemaker'"),
        ({"instance_type": "G.2X"}, "none of backend 'lambda'"),
        ({"backend": "glue", "instance_type": "G.3X"}, "pattern"),
        ({"backend": "glue", "instance_type": "G.4X", "spot": True}, "spare capacity"),
    ],
)
def test_a_machine_belongs_to_its_backend(training, said):
    """Said when the spec is read, not by a job that does not start."""
    with pytest.raises(ValidationError, match=said):
        TrainingSection(**training)


def test_each_backend_has_a_usual_machine():
    """Where the spec names none."""
    machines = [TrainingSection(backend=b).machine for b in ("sagemaker", "glue")]
    assert machines == ["ml.m5.xlarge", "G.2X"]
    assert TrainingSection(backend="glue", instance_type="R.8X").machine == "R.8X"


@pytest.mark.parametrize("smallest", ["", "min = 0"])
def test_a_logarithm_needs_a_target_above_zero(smallest):
    """0 has none: the bound is the spec's, so that rows and labels are refused by it."""
    text = (SPECS / "housing.toml").read_text()
    text = text.replace("min = 0\n", f'{smallest}\ntransform = "log"\n', 1)
    with pytest.raises(InvalidSpecError, match="must be above 0 for transform"):
        parse_spec(text, source="housing.toml")
