"""The rooms of the code: nothing loose at a root, no circle of files, keys spelled in one place."""

import ast
import re

import grimp
import pytest

from infra.names import ROOT

PACKAGES = {name: ROOT / "layers" / name / "python" / name for name in ("noria", "noria_aws")}
# What Noria stores lies under these; other strings with a slash are routes, content types or units.
_PREFIXES = (
    "inbox/", "datasets/", "quarantine/", "runs/", "reports/", "models/", "profiles/", "answers/",
    "labels/", "batch-inbox/", "batches/", "batch-results/", "analyses/", "monitoring/",
    "predictions/",
)  # fmt: skip


def test_only_errors_and_ports_are_loose_at_a_root():
    """Everything else has a room."""
    loose = {path.stem for folder in PACKAGES.values() for path in folder.glob("*.py")}
    assert loose == {"__init__", "errors", "ports"}


def test_no_circle_of_files():
    """A file that needs another is not needed by it, by whatever way."""
    graph = grimp.build_graph("noria", "noria_aws")
    for module in sorted(graph.modules):
        for imported in graph.find_modules_directly_imported_by(module):
            assert not graph.chain_exists(importer=imported, imported=module), (module, imported)


def _strings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ):
            yield node.value


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_keys_and_names_of_stored_files_are_spelled_in_one_place(package):
    """`noria.storage.keys`, and the two names of a bundle's files beside its format."""
    homes = {"storage/keys.py", "bundle/format.py"}
    # SageMaker's, the word vectors', a route's
    others_own = {"hyperparameters.json", "weights.npz", "/openapi.json"}
    found = [
        (path.relative_to(PACKAGES[package]).as_posix(), text)
        for path in sorted(PACKAGES[package].rglob("*.py"))
        if path.relative_to(PACKAGES[package]).as_posix() not in homes
        for text in _strings(path)
        if text.startswith(_PREFIXES) or re.fullmatch(r"[\w/-]+\.(json|jsonl|npz)(\.gz)?", text)
    ]
    assert [(place, text) for place, text in found if text not in others_own] == []
