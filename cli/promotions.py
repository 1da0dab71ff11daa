"""Commands that show and move the champion: history, promote, rollback."""

import getpass
from typing import Annotated

import typer

from cli.display import history_table
from cli.shared import Json, Project, Stage, checked, show, told
from cli.target import Target
from infra.config import LOCAL_STAGE as LOCAL
from noria.errors import ModelCorruptError, ModelVersionNotFoundError
from noria.inference.loading import verified_manifest
from noria.records.alias import AliasRecord, Promotion, PromotionKind
from noria_aws.aws.clock import SystemClock


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (history, promote, rollback):
        app.command()(command)


def history(project: Project, stage: Stage = LOCAL, as_json: Json = False) -> None:
    """List the promotions of a project, newest first."""
    with told():
        name = checked(project)
        entries = Target(stage).aliases.history(name)
        show(as_json, [e._asdict() for e in entries], lambda: history_table(project, entries))


def promote(
    project: Project,
    model_version: Annotated[str, typer.Argument(help="A registered version, whole and intact.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")],
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Make a registered model version champion by hand."""
    with told():
        name = checked(project)
        target = Target(stage)
        _move(target, target.aliases.read(name), model_version, "manual", reason, as_json)


def rollback(
    project: Project,
    to: Annotated[str | None, typer.Option(help="Version; default: the previous champion.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "rolled back by hand",
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Return to an earlier champion; served within seconds, nothing is redeployed."""
    with told():
        name, target = checked(project), Target(stage)
        # The one reading that the version is taken from is what the alias must still be.
        record = target.aliases.read(name)
        version = to or record.previous_champion
        if version is None:
            raise ModelVersionNotFoundError(f"project '{project}' has no earlier champion")
        _move(target, record, version, "rollback", reason, as_json)


def _move(
    target: Target,
    seen: AliasRecord,
    version: str,
    kind: PromotionKind,
    reason: str,
    as_json: bool,
) -> None:
    """Promote a version, unless the alias has moved since it was seen."""
    project = seen.project
    manifest = verified_manifest(target.artifacts, project, version)
    if version == seen.previous_champion and seen.previous_manifest not in (None, manifest):
        raise ModelCorruptError(f"{version} is not what served before: its manifest has changed")
    record = target.aliases.apply(
        Promotion(
            project=project,
            promotion_id=f"{kind}-{version}-{seen.revision}",
            model_version=version,
            expected_revision=seen.revision,
            kind=kind,
            reason=reason,
            actor=getpass.getuser(),
            at=SystemClock().now().isoformat(),
            manifest=manifest,
        )
    )
    shown = f"champion of {project}: {record.champion} (was {record.previous_champion})"
    show(as_json, record._asdict(), lambda: shown)
