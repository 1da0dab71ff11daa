"""What a cold start of predict and of the command line imports, beside what contracts can see."""

import subprocess
import sys

import pytest

from infra.names import ROOT

SERVED_WITH = {"access", "alias", "bundle", "prediction", "stored"}


@pytest.fixture(scope="module")
def modules():
    """All modules of a fresh process that has imported the handler."""
    program = "import sys, handler; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "lambdas/predict",
        capture_output=True,
        text=True,
        check=True,
    )
    found = set(done.stdout.split())
    assert "noria.api.predictions" in found
    return found


def test_predict_imports_the_records_of_a_prediction_and_no_others(modules):
    """Checks, batches, evaluations and training have fifty more, for other requests."""
    prefix = "noria.records."
    assert {m.removeprefix(prefix) for m in modules if m.startswith(prefix)} == SERVED_WITH
    assert not {m for m in modules if m.startswith(("noria.steps", "noria.monitoring"))}


def test_predict_imports_no_dataclasses(modules):
    """It brings `inspect` with it, and generates the code of each class anew."""
    assert not {"dataclasses", "inspect"} & modules


def test_help_waits_for_nothing_that_one_command_alone_needs():
    """Half of it took two seconds: pictures, statistics and the AWS SDK."""
    program = "import sys; import cli.main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "scipy", "matplotlib", "pyarrow", "boto3", "botocore", "pydantic"}
    assert not heavy & set(done.stdout.split())
