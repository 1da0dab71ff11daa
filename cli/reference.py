"""The reference pages of the documentation, written from what they describe: `make docs`.

The page of the command line is its own `--help`; the page of the spec is read from the sections'
fields and the comments beside them; the API's is its OpenAPI document. A test holds them to the
code.
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from cli.main import app
from infra.names import ROOT, SPECS
from noria.api.openapi.document import api_document
from noria.spec import columns, features, model, operations, section
from noria.spec.idle_keys import NEEDS
from noria.spec.loader import load_spec

DOCS = ROOT / "docs"
CLI_PAGE, SPEC_PAGE, API_PAGE = DOCS / "cli.md", DOCS / "spec.md", DOCS / "openapi.json"
_MODULES = (model, operations, features, columns)
_KEPT_APART = ("ProjectSpec", "Section")


def cli_page() -> str:
    """Return the page of the `noria` command: what `--help` says, command by command."""
    group: Any = typer.main.get_command(app)
    parts = [
        "# Command line\n\n`noria COMMAND --help` shows the same. `make docs` writes this page.\n"
    ]
    for name in sorted(group.commands):
        command = group.commands[name]
        text = inspect.cleandoc(command.help or "").replace("\b", "")
        parts.append(f"## noria {name}\n\n{text}\n")
        rows = [*_parameters(command)]
        if rows:
            parts.append(
                "| argument | meaning | default |\n|---|---|---|\n" + "\n".join(rows) + "\n"
            )
    return "\n".join(parts)


def _parameters(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.name == "help":
            continue
        names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        if parameter.param_type_name == "argument":
            names = f"`{(parameter.name or '').upper()}`"
        meaning = " ".join((getattr(parameter, "help", None) or "").split()).replace("|", "\\|")
        default = parameter.default
        shown = "" if default in (None, False) or callable(default) else f"`{_plain(default)}`"
        yield f"| {names} | {meaning} | {'required' if parameter.required else shown} |"


def _plain(default: object) -> str:
    return str(getattr(default, "value", default))


def spec_page() -> str:
    """Return the page of the project spec: every section, key, type, default and meaning."""
    parts = [
        "# Project spec\n\nOne TOML file per project, `layers/projects/python/projects/NAME.toml`. "
        "Unknown keys are errors. `make docs` writes this page from the sections themselves.\n",
        "A key without a default is required. `a | b` means either; `tuple[x, ...]` is a list.\n",
        "## The file\n\n" + _table(model.ProjectSpec),
    ]
    tables = {str(hint).split(" ")[0]: key for key, hint, _, _ in _fields(model.ProjectSpec)}
    for module in _MODULES:
        for name, kind in vars(module).items():
            is_section = inspect.isclass(kind) and issubclass(kind, section.Section)
            if is_section and kind.__module__ == module.__name__ and name not in _KEPT_APART:
                table = tables.get(name, "")
                place = f" Table `[{table}]`." if table else ""
                parts.append(f"## {name}\n\n{inspect.getdoc(kind)}{place}\n\n{_table(kind, table)}")
    return "\n".join(parts)


def _table(kind: type, table: str = "") -> str:
    needs = {key: need.text for need in NEEDS if need.table == table for key in need.keys}
    rows = "\n".join(
        f"| `{name}` | `{hint}` | {default} | {_with_need(meaning, needs.get(name))} |"
        for name, hint, default, meaning in _fields(kind)
    )
    return f"| key | type | default | meaning |\n|---|---|---|---|\n{rows}\n"


def _with_need(meaning: str, need: str | None) -> str:
    if need is None:
        return meaning
    needs = f"needs {need.partition(':')[0]}"
    return f"{meaning.rstrip('.')}; {needs}" if meaning else needs


def _fields(kind: type) -> Iterator[tuple[str, str, str, str]]:
    source = inspect.getsource(kind)
    lines = source.splitlines()
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            hint = ast.unparse(node.annotation).replace("|", "\\|")
            yield _key(node), hint, _default(node), _meaning(lines, node)


def _key(node: ast.AnnAssign) -> str:
    """Return the key in the file: an alias where Python keeps the name for itself."""
    assert isinstance(node.target, ast.Name)
    if isinstance(node.value, ast.Call):
        for keyword in node.value.keywords:
            if keyword.arg == "alias" and isinstance(keyword.value, ast.Constant):
                return str(keyword.value.value)
    return node.target.id


def _default(node: ast.AnnAssign) -> str:
    value = node.value
    if value is None:
        return "required"
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "Field":
        given = {k.arg: ast.unparse(k.value) for k in value.keywords}
        default = ast.unparse(value.args[0]) if value.args else given.pop("default", "")
        made = given.pop("default_factory", "")
        bounds = [f"{name} {bound}" for name, bound in given.items() if name not in (None, "alias")]
        shown = f"`{default}`" if default else "empty" if made else "required"
        return ", ".join([shown, *(f"`{bound}`" for bound in bounds)]).replace("|", "\\|")
    return f"`{ast.unparse(value)}`".replace("|", "\\|")


def _meaning(lines: list[str], node: ast.AnnAssign) -> str:
    """Return the comment beside a field, or the lines of comment above it."""
    beside = re.search(r"  # (.+)$", lines[(node.end_lineno or node.lineno) - 1])
    if beside:
        return beside[1].replace("|", "\\|")
    above: list[str] = []
    for line in reversed(lines[: node.lineno - 1]):
        if not (found := re.match(r"\s*# (.+)$", line)):
            break
        above.insert(0, found[1])
    return " ".join(above).replace("|", "\\|")


def api_page() -> str:
    """Return the OpenAPI document of the shipped projects."""
    specs = [load_spec(path) for path in sorted(SPECS.glob("*.toml"))]
    return json.dumps(api_document(specs), indent=1, ensure_ascii=False) + "\n"


PAGES = {CLI_PAGE: cli_page, SPEC_PAGE: spec_page, API_PAGE: api_page}


def main(folder: Path = DOCS) -> None:
    """Write the pages into a folder."""
    for page, made in PAGES.items():
        (folder / page.name).write_text(made(), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
