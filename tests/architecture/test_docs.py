"""Each page mentions what belongs on it, so that an outdated page is seen."""

import re
from typing import get_args

import pytest

from cli import reference
from infra.config import PREFIX, Deployment
from infra.names import ROOT, SPECS, project_names
from noria.api.routes import ROUTES
from noria.spec.algorithms import ALGORITHMS
from noria.spec.catalog import METRICS
from noria.spec.model import ProjectSpec

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = [
    target
    for target in re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M)
    if target != "help"
]
MENTIONED = [
    *(("docs/map.md", path.parent.name) for path in ROOT.glob("lambdas/*/handler.py")),
    *(("docs/map.md", path.name) for path in ROOT.glob("statemachines/*.json")),
    *(("README.md", name) for name in project_names()),
    *(("docs/deploy.md", f"{PREFIX}{name}") for name in Deployment.model_fields),
    *(("docs/api.md", f"`{route.method} {route.path}`") for route in ROUTES),
    *(("docs/projects.md", f"`{name}`") for name in ALGORITHMS),
    *(("CONTRIBUTING.md", f"make {target}") for target in TARGETS),
    *(("docs/decisions/index.md", path.name) for path in ROOT.glob("docs/decisions/[a-z]*.md") if path.stem != "index"),
]  # fmt: skip


@pytest.mark.parametrize(("page", "name"), MENTIONED)
def test_a_page_mentions(page, name):
    """Every Lambda, state machine, project, setting, route, algorithm, make target and decision."""
    assert name in (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_a_page_links_exist(page):
    """No dangling picture or document."""
    for path in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / path).is_file(), path


def test_the_readme_is_short():
    """What it is, what you get, two commands, where to read on."""
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n") <= 130


def test_the_reference_pages_are_those_of_the_code():
    """`make docs` writes them; a change of the code changes the page in the same commit."""
    for page, made in reference.PAGES.items():
        assert page.read_text(encoding="utf-8") == made()


def test_the_spec_page_knows_every_key_of_every_section():
    """A key is found under the name that the file uses."""
    text = reference.spec_page()
    for key in ("window_files", "min_improvement", "windows_in_a_row", "row_age_hours", "from"):
        assert f"| `{key}` |" in text
    assert METRICS


def test_every_benchmark_table_names_its_commit():
    """A figure without a commit cannot be checked."""
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.M)[1:]
    assert len(sections) >= 9
    assert all(re.search(r"Measured at [0-9a-f]{7}|Computed from", part) for part in sections)


def test_ci_calls_the_documented_commands():
    """What is documented is what is tested."""
    commands = re.findall(r"^make [\w-]+$", (ROOT / ".ci/run").read_text(), re.M)
    assert {"make check", "make test", "make docs"} <= set(commands)
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert all(f"`{command}`" in contributing for command in commands)


TRIGGERS = (ROOT / "docs" / "triggers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("reference", sorted(set(re.findall(r"`([a-z_/]+\.py::\w+)`", TRIGGERS))))
def test_every_test_that_the_page_of_triggers_names_is_there(reference):
    """What a rule is said to be held by."""
    path, name = reference.split("::")
    assert f"def {name}(" in (ROOT / "tests" / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("key", sorted(set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", TRIGGERS))))
def test_every_key_that_the_page_of_triggers_names_is_one_of_the_spec(key):
    """With the sections it lies in."""
    if key.endswith(".toml"):
        assert (SPECS / key).is_file()
        return
    section = ProjectSpec
    for name in key.split("."):
        kind = section.model_fields[name].annotation
        section = next(iter(get_args(kind)), kind)  # of one that may be absent
