"""What the metering makes of the emulator's counts."""

from cli.costing.work import StepWork
from tests.benchmarks.cost import _in_maps, _step, _steps, _used

PLACE = "noria-local-platform-"


def test_functions_and_roles_are_known_by_their_steps():
    """The folder of predict and operate is called prediction; the longest name wins."""
    steps = _steps()
    names = {
        "PredictionpredictFunction2A": "predict",
        "PredictionoperateFunction2A": "operate",
        "PredictionAccessauthorizeRole9": "authorize",
        "PredictionLogreplaylogFunction1": "replay_log",
        "StepscheckdriftFunctionA": "check_drift",
        "StepsstartscheduledcheckRole1": "start_scheduled_check",
        "TrainingStateMachineRole": None,
    }
    assert {name: _step(PLACE + name, steps) for name in names} == names


def test_what_was_used_between_two_readings_is_counted_by_piece():
    """Logs of Lambda itself are priced by execution."""
    predict, role = PLACE + "PredictionpredictFunction", PLACE + "PredictionpredictRole"
    before = {"calls": {role: {"s3:GetObject": 4}}, "runs": {predict: 10}, "cpu": {predict: 1.0}}
    after = {
        "calls": {role: {"s3:GetObject": 6, "firehose:PutRecord": 20, "logs:PutLogEvents": 9}},
        "runs": {predict: 30},
        "cpu": {predict: 1.5},
    }
    found = _used(before, after, 0, 20.0)
    calls = {"s3:GetObject": 0.1, "firehose:PutRecord": 1.0}
    assert found.steps == {"predict": StepWork(1.0, 0.025, calls)}
    assert found.transitions == 0.0


def test_states_inside_of_maps_are_counted_by_the_function_that_they_call():
    """A training of seven candidates enters its map's states seven times."""
    trained = {"train_candidate": StepWork(7.0, 1.0, {})}
    assert _in_maps(trained) >= 7.0
    assert _in_maps({"check_drift": StepWork(1.0, 1.0, {})}) == 0.0
