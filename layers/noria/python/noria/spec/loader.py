"""Read a spec file, check it as a whole and say exactly what is wrong with it."""

import tomllib
from pathlib import Path

from noria.errors import InvalidSpecError, UnknownProjectError
from noria.spec.columns import with_columns
from noria.spec.faults import faults_of
from noria.spec.model import ProjectSpec
from noria.storage.hashing import canonical_json, sha256_hex


def load_spec(path: Path) -> ProjectSpec:
    """Return the validated spec of one TOML file.

    Raises
    ------
    InvalidSpecError
        The file does not parse or breaks a rule; every fault is named with file, path and
        allowed values, in one error.
    """
    try:
        return parse_spec(path.read_text(encoding="utf-8"), source=path.name)
    except UnicodeDecodeError as error:
        raise InvalidSpecError(f"{path.name}: not UTF-8 at byte {error.start}") from error


def load_project(name: str, folder: Path) -> ProjectSpec:
    """Return the spec of a deployed project by name; UnknownProjectError names the others."""
    names = project_names(folder)
    if name not in names:
        raise UnknownProjectError(
            f"project '{name}' is not deployed; deployed are: {', '.join(names)}",
            project=name,
            deployed=names,
        )
    return load_spec(folder / f"{name}.toml")


def project_names(folder: Path) -> list[str]:
    """Return the names of all projects whose spec lies in `folder`, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def parse_spec(text: str, *, source: str) -> ProjectSpec:
    """Return the validated spec of TOML text; `source` is the name used in errors."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSpecError(f"{source}: not valid TOML: {error}") from error
    if faults := [str(fault) for fault in faults_of(raw, text)]:
        raise _invalid(source, faults)
    spec = ProjectSpec.model_validate(raw)
    stem = source.removesuffix(".toml")
    if source.endswith(".toml") and spec.name != stem:
        raise _invalid(source, [f"project.name: '{spec.name}' must equal the file's name '{stem}'"])
    return spec if spec.dataset.infer else with_columns(spec, {})


def spec_hash(spec: ProjectSpec) -> str:
    """Return the SHA-256 of the spec's meaning: comments and order do not count."""
    return sha256_hex(canonical_json(spec.model_dump(mode="json")))


def _invalid(source: str, faults: list[str]) -> InvalidSpecError:
    lines = "".join(f"\n  {fault}" for fault in faults)
    return InvalidSpecError(f"{source}: {len(faults)} fault(s){lines}", file=source, faults=faults)
