import importlib.util
import json

import pytest

from infra.constructs.steps import STEPS
from infra.names import ROOT
from noria.errors import SettingsError
from tests.support.access import USER, authorized


def _handler(step):
    path = ROOT / "lambdas" / step / "handler.py"
    spec = importlib.util.spec_from_file_location(f"handler_{step}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.lambda_handler


@pytest.mark.parametrize("step", STEPS)
def test_a_step_imports_without_an_environment_and_refuses_a_wrong_message(step, capsys):
    """Importing defines; a wrong message is logged once and keeps its class name."""
    with pytest.raises(SettingsError, match="missing"):
        _handler(step)({}, None)
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [event["event"] for event in events] == ["step_started", "step_failed"]
    assert events[1]["error"] == "SettingsError"


def test_predict_imports_without_an_environment_and_answers_its_absence():
    """A wrong deployment is a 500 problem document, not a crash."""
    event = {
        "httpMethod": "GET",
        "resource": "/health",
        "requestContext": authorized(USER),
    }
    answer = _handler("predict")(event, None)
    assert answer["statusCode"] == 500
    assert "it was logged" in json.loads(answer["body"])["detail"]
