"""The training report: one safe file for people, the same facts for programs."""

import json
import re
from html.parser import HTMLParser

import pytest

from cli.samples.files import csv_bytes, sample_files
from cli.samples.tickets import TICKET_COLUMNS, sample_tickets
from noria.errors import StoreUnavailableError
from noria.spec.model import SearchSection
from noria.steps.write_training_report import (
    WriteTrainingReportRequest,
    write_training_report,
)
from tests.support.fakes import MemoryAliases, MemoryArtifacts, SteppingClock
from tests.support.pipeline import run_training
from tests.support.specs import quick_tickets

_VOID = {"meta", "link", "br", "img", "hr", "input", "col"}
_HOSTILE = "<b>Facturación & 'cobros'</b>"


class _Page(HTMLParser):
    """Tags that are open, ids, and addresses that are loaded."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.addresses, self.pictures = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.addresses += [found[n] for n in ("src", "href", "xlink:href") if n in found]
        if tag == "img":
            self.pictures.append(found)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _run(spec, files, run_id="run"):
    artifacts = MemoryArtifacts()
    for name, body in files:
        artifacts.put(f"inbox/{name}", body)
    run = run_training(
        spec, [f"inbox/{name}" for name, _ in files], run_id,
        artifacts=artifacts, aliases=MemoryAliases(), clock=SteppingClock(), reports=True,
    )  # fmt: skip
    return artifacts, run


@pytest.fixture(scope="module")
def hostile():
    """A run whose class is called like markup."""
    spec = quick_tickets()
    target = spec.target.model_copy(update={"labels": ()})
    rows = [
        (number, text, notes, _HOSTILE if label == "0" else label)
        for number, text, notes, label in map(_four, sample_tickets(300))
    ]
    artifacts, run = _run(
        spec.model_copy(update={"target": target}),
        [("rows.csv", csv_bytes(["number", *TICKET_COLUMNS[-3:]], rows))],
    )
    return spec, artifacts, run


def _four(row):
    return ("n", *row[-3:])


def _html(artifacts, spec):
    return artifacts.get(f"reports/{spec.name}/run/report.html").decode()


def test_the_page_is_well_formed_and_loads_nothing(hostile):
    """Opens from a disk, in a train, in ten years."""
    spec, artifacts, _ = hostile
    page = _Page(_html(artifacts, spec))
    assert page.open == []
    assert "script" not in page.tags
    assert all(address.startswith(("#", "data:image/")) for address in page.addresses)
    assert not re.search(r"url\((?!#)|@import", _html(artifacts, spec))


def test_what_comes_from_the_rows_is_text_never_markup(hostile):
    """Labels come from the user's data; accents survive."""
    spec, artifacts, _ = hostile
    text = _html(artifacts, spec)
    assert _HOSTILE not in text
    assert "&lt;b&gt;Facturación &amp;" in text


def test_every_picture_says_what_it_shows(hostile):
    """For those who do not see it."""
    spec, artifacts, _ = hostile
    pictures = _Page(_html(artifacts, spec)).pictures
    assert len(pictures) >= 4
    assert all(len(picture["alt"]) > 20 for picture in pictures)


def test_the_twin_holds_the_numbers_of_the_page(hostile):
    """Candidates, decision, confusion, profile, importance, lineage."""
    spec, artifacts, _ = hostile
    twin = json.loads(artifacts.get(f"reports/{spec.name}/run/report.json"))
    text = _html(artifacts, spec)
    assert twin["lineage"]["dataset version"] in text
    for candidate in twin["selection"]["candidates"]:
        assert candidate["candidate"] in text
        assert f"{candidate['cv_mean']:.4f}" in text
    assert _HOSTILE in twin["performance"]["confusion"]["classes"]
    assert sum(map(sum, twin["performance"]["confusion"]["counts"])) == twin["n_test"]
    for candidate in twin["selection"]["candidates"]:
        metrics = candidate["cv_metrics"]
        assert set(metrics) == set(candidate["training_metrics"]) <= set(twin["metrics"])
        assert metrics["f1_weighted"] == pytest.approx(candidate["cv_mean"])
        assert candidate["training_metrics"]["accuracy"] >= metrics["accuracy"]
    assert twin["shuffled"]["short_description"] > 0
    assert "swarms" not in twin
    shares = [row["mean_contribution"] for row in twin["importance"]]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0


def test_each_candidate_says_how_it_was_searched(hostile):
    """By its own section, not the project's; one without a space is not searched."""
    spec, artifacts, run = hostile
    first, *others = spec.candidates
    update = {"space": {"C": (1.0, 2.0)}, "search": SearchSection(kind="grid")}
    candidates = (first.model_copy(update=update), *others)
    changed = {"candidates": candidates, "search": SearchSection(kind="random")}
    kept = artifacts.copied()
    del kept.objects[f"reports/{spec.name}/run/report.html"]
    _again((spec.model_copy(update=changed), kept, run), None)
    searched = re.findall(
        r"<tr[^>]*><td>(\w+)[^/]*</td><td>\w+</td><td[^/]*</td><td>(\w+)</td>", _html(kept, spec)
    )
    assert searched == [("logistic", "grid"), ("forest", "none")]


def test_a_regression_is_reported_with_residuals(housing):
    """Housing: no classes anywhere."""
    candidates = tuple(c for c in housing.candidates if c.name == "ridge")
    spec = housing.model_copy(update={"candidates": candidates})
    artifacts, _ = _run(spec, sample_files("housing"))
    page = _Page(_html(artifacts, spec))
    assert page.open == []
    assert any("what is left" in picture["alt"] for picture in page.pictures)
    assert any("a dot a row" in picture["alt"] for picture in page.pictures)
    shown = json.loads(artifacts.get("reports/housing/run/report.json"))["pipeline"]
    boxes = {
        stage["name"]: {part["name"]: part["what"] for part in stage["parts"]} for stage in shown
    }
    assert [*boxes] == ["columns", "derived columns", "features", "model", "answer"]
    assert boxes["derived columns"]["rooms_by_distance"] == "product of RM, DIS"
    assert boxes["features"]["squares"].startswith("polynomial of RM, LSTAT, PTRATIO: ")
    assert "ridge: alpha = 1.0" in boxes["model"]["ridge"]
    twin = json.loads(artifacts.get("reports/housing/run/report.json"))
    assert twin["profile"]["columns"]
    assert twin["shuffled"]["LSTAT"] > 0


class _Sink:
    def __init__(self, fault=None):
        self.fault, self.logged = fault, {}

    def log_candidate(self, name, facts, params, metrics, files):
        if self.fault:
            raise self.fault
        self.logged[name] = (facts, params, metrics, files)


def _again(hostile, sink):
    spec, artifacts, run = hostile
    twin = json.loads(artifacts.get(f"reports/{spec.name}/run/report.json"))
    request = WriteTrainingReportRequest(
        spec.name, "run", twin["lineage"]["dataset version"], run.candidate
    )
    return write_training_report(request, spec=spec, artifacts=artifacts, sink=sink)


def test_every_candidate_goes_to_the_tracking_server_with_its_files(hostile):
    """Parameters, metrics, bundle; the report with the challenger."""
    sink = _Sink()
    assert _again(hostile, sink).tracked
    assert set(sink.logged) == {"logistic", "forest"}
    facts, params, metrics, files = sink.logged[hostile[2].candidate]
    assert facts["is_challenger"]
    assert params
    assert {"cv_f1_weighted", "cv_accuracy", "training_accuracy", "test_accuracy"} <= set(metrics)
    assert {"report.html", "report.json", "bundle.json", "arrays.bin", "result.json"} == set(files)


def test_a_tracking_server_that_is_away_costs_nothing_but_its_entry(hostile):
    """The report is there all the same."""
    assert not _again(hostile, _Sink(StoreUnavailableError("away"))).tracked
