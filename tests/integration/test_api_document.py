"""A deployed stage answers as its OpenAPI document says; `make fuzz-api` asks all of it."""

import copy
import doctest
import json
import shutil
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

from cli.samples.files import csv_bytes
from infra.names import ROOT
from tests.fuzz.api import run, with_champions
from tests.fuzz.projects import world
from tests.support.documented import document

pytestmark = pytest.mark.emulator
_OPERATIONS = ("health", "predict", "features", "create_job", "promote")


@pytest.fixture(scope="module")
def served(target):
    """The document of the stage, whose projects have champions."""
    with_champions(target)
    return target.call("GET", "/openapi.json").body


def test_the_stage_serves_the_document_that_the_docs_show(served):
    """With the projects that are deployed."""
    assert served == document()


def test_requests_made_from_the_document_get_answers_that_it_has(target, served):
    """Valid ones, mutated ones, the bounds of every field, and such without a key."""
    tally = run(target, served, 3, _OPERATIONS)
    assert tally.n_failed == 0, tally.report[-5000:]
    assert tally.n_cases > 150


def test_a_document_that_says_something_else_is_caught(target, served):
    """The control: a status that is not documented, and a body that is said to be another."""
    other = copy.deepcopy(served)
    del other["paths"]["/projects/{project}/predict"]["post"]["responses"]["422"]
    other["components"]["schemas"]["ServiceHealth"]["properties"]["status"] = {"type": "number"}
    tally = run(target, other, 3, ("health", "predict"))
    assert "Undocumented status code" in tally.report
    assert "Response violates schema" in tally.report
    assert tally.n_failed >= 2


def test_every_answer_has_its_request_id(target):
    """Also one of API Gateway's own."""
    request = urllib.request.Request(
        f"{target.api_url}/health", headers={"x-api-key": target.api_key("user")}
    )
    ids = [urllib.request.urlopen(request).headers["x-request-id"] for _ in range(2)]
    assert all(ids)
    assert len(set(ids)) == 2


@pytest.fixture(scope="module")
def rows():
    """Rows that the housing model takes."""
    return world().rows["housing"][:20]


@pytest.mark.usefixtures("served")
def test_the_clients_readme_is_true(target, rows, tmp_path):
    """Each example of it, against the stage: a row, a label, a wrong row, a file, many at once."""
    csv_file = tmp_path / "houses.csv"
    names = list(dict.fromkeys(name for row in rows for name in row))
    csv_file.write_bytes(csv_bytes(names, [[row.get(name) for name in names] for row in rows]))
    known = {"url": target.api_url, "key": target.api_key("user"), "row": rows[0]}
    done = doctest.testfile(
        str(ROOT / "client" / "README.md"),
        module_relative=False,
        globs={**known, "csv_file": csv_file, "folder": tmp_path / "results"},
    )
    assert done.failed == 0
    assert done.attempted >= 15


@pytest.mark.usefixtures("served")
def test_the_installed_client_predicts_in_ten_lines(target, rows, tmp_path):
    """Alone with what it depends on: nothing else of this repository is on the path."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    alone = tmp_path / "site"
    subprocess.run([*pip, "--target", str(alone), str(ROOT / "client")], check=True)
    for name in ("httpx", "httpcore", "h11", "anyio", "idna", "certifi"):
        shutil.copytree(Path(find_spec(name).origin).parent, alone / name)
    program = [
        "import json, sys",
        f"sys.path.insert(0, {str(alone)!r})",
        "from noria_client import Noria",
        f"with Noria({target.api_url!r}, sys.argv[1]) as noria:",
        "    answer = noria.predict('housing', json.loads(sys.argv[2]))",
        "print(answer['value'])",
    ]
    asked = [target.api_key("user"), json.dumps(rows[0])]
    command = [sys.executable, "-I", "-S", "-c", "\n".join(program), *asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 5.0 < float(done.stdout) < 60.0
