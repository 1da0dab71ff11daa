"""What a cold start of predict imports: each frozen dataclass costs a part of a millisecond."""

import subprocess
import sys

from infra.config import ROOT

SERVED_WITH = {"alias", "bundle", "prediction", "stored"}


def test_predict_imports_the_records_of_a_prediction_and_no_others():
    """Checks, batches, evaluations and training have fifty more, for other requests."""
    program = "import sys, handler; print(*(m for m in sys.modules if m.startswith('noria')))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "lambdas/predict",
        capture_output=True,
        text=True,
        check=True,
    )
    modules = done.stdout.split()
    assert "noria.api.predictions" in modules
    prefix = "noria.records."
    assert {m.removeprefix(prefix) for m in modules if m.startswith(prefix)} == SERVED_WITH
    assert not {m for m in modules if m.startswith(("noria.steps", "noria.monitoring"))}
