"""The project of `docs/add-your-own.md`, trained from the page itself."""

import csv
import io
import re

from sklearn.datasets import load_breast_cancer

from infra.names import ROOT
from noria.spec.loader import parse_spec
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock
from tests.support.pipeline import run_training


def _rows():
    data = load_breast_cancer()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*data.feature_names, "diagnosis"])
    for values, target in zip(data.data, data.target, strict=True):
        writer.writerow([*values, ("malignant", "benign")[target]])
    return text.getvalue().encode()


def test_the_spec_of_the_page_becomes_a_champion():
    """One file, no Python."""
    page = (ROOT / "docs" / "add-your-own.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    artifacts, aliases = MemoryArtifacts(), MemoryAliases()
    artifacts.put("inbox/biopsies.csv", _rows())
    run = run_training(
        parse_spec(text, source="biopsies.toml"), "inbox/biopsies.csv", "run",
        artifacts=artifacts, aliases=aliases, clock=SteppingClock(),
    )  # fmt: skip
    assert run.outcome == "ChallengerPromoted", run.summary
    assert aliases.read("biopsies").champion == run.model_version
