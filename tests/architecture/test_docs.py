"""The README mentions everything a user meets, so that it cannot fall behind unseen."""

import re

import pytest

from infra.config import PREFIX, ROOT, Deployment, project_names
from noria.spec.catalog import ALGORITHMS
from noria_aws.handlers.http_api import ROUTES

README = (ROOT / "README.md").read_text(encoding="utf-8")
MENTIONED = [
    *(path.parent.name for path in ROOT.glob("lambdas/*/handler.py")),
    *(path.name for path in ROOT.glob("statemachines/*.json")),
    *project_names(),
    *(f"{PREFIX}{name}" for name in Deployment.model_fields),
    *(f"`{route.method} {route.path}`" for route in ROUTES),
    *(f"`{name}`" for name in ALGORITHMS),
    *(f"make {target}" for target in re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M) if target != "help"),
]  # fmt: skip


@pytest.mark.parametrize("name", MENTIONED)
def test_the_readme_mentions(name):
    """Every Lambda, state machine, project, setting, route, algorithm and make target."""
    assert name in README


def test_files_the_readme_links_exist():
    """No dangling picture or document."""
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / path).is_file()


def test_ci_calls_the_readmes_commands():
    """What is documented is what is tested."""
    commands = re.findall(r"^make [\w-]+$", (ROOT / ".ci/run").read_text(), re.M)
    assert "make test" in commands
    assert all(f"`{command}`" in README for command in commands)
