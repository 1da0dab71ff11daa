"""Sizes that keep code readable, and doctests that keep documentation true."""

import ast
import doctest
import importlib

import pytest

from infra.names import ROOT

SOURCES = sorted(
    path
    for pattern in (
        "app.py",
        "cli/**/*.py",
        "infra/**/*.py",
        "lambdas/*/*.py",
        "layers/*/python/**/*.py",
    )
    for path in ROOT.glob(pattern)
)
IDS = [str(path.relative_to(ROOT)) for path in SOURCES]


def _functions(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_modules_and_functions_stay_small(path):
    """Modules <= 400 lines, handlers <= 60, function bodies <= 50."""
    limit = 60 if path.name == "handler.py" else 400
    assert path.read_text(encoding="utf-8").count("\n") <= limit
    for node in _functions(path):
        body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
        size = node.end_lineno - body[0].lineno + 1
        assert size <= 50, f"{node.name} has {size} lines"


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_every_module_says_what_lives_there(path):
    """The first line is the map."""
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_no_project_is_named_in_code(path):
    """A project is one spec file; samples and the demo are data about projects."""
    if path.relative_to(ROOT).as_posix() in ("cli/samples/files.py", "cli/demo.py"):
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert node.value not in ("tickets", "housing", "messages", "customers")


def test_the_environment_is_read_in_one_place():
    """Settings of functions have one home; the launcher and CDK pass theirs on."""
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if "os.environ" in path.read_text(encoding="utf-8")
    }
    assert readers == {
        "layers/noria_aws/python/noria_aws/aws/settings.py",
        "infra/local/deploy.py",
        "cli/costing/stacks.py",  # to the app that it synthesizes
        "infra/local/emulator.py",
        "infra/local/training_jobs.py",
        "infra/local/glue_jobs.py",
    }


def test_examples_in_docstrings_are_true():
    """Every doctest of the domain runs."""
    root = ROOT / "layers/noria/python"
    n_run = 0
    for path in sorted((root / "noria").rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        result = doctest.testmod(importlib.import_module(name))
        assert result.failed == 0, name
        n_run += result.attempted
    assert n_run > 0


def test_dicts_of_anything_stay_at_the_edges():
    """What steps hand each other has a type; JSON, rows and third-party data are the edges."""
    n_lines = sum(
        "dict[str, Any]" in line or "Mapping[str, Any]" in line
        for path in (ROOT / "layers/noria/python/noria").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    assert n_lines <= 100
