"""Commands that show and move the champion: history, promote, rollback."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from cli.display import history_table
from cli.shared import Json, Project, Stage, checked, show, told
from cli.target import Target
from infra.names import LOCAL_STAGE as LOCAL
from noria.records.alias import AliasRecord
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
        target, asked = Target(stage), {"model_version": model_version, "reason": reason}
        _move(target, checked(project), "promote", asked, as_json=as_json)


def rollback(
    project: Project,
    to: Annotated[str | None, typer.Option(help="Version; default: the previous champion.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "rolled back by hand",
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Return to an earlier champion; served within seconds, nothing is redeployed."""
    with told():
        target, asked = Target(stage), {"to": to, "reason": reason}
        _move(target, checked(project), "roll_back", asked, as_json=as_json)


def _move(
    target: Target,
    project: str,
    operation: Literal["promote", "roll_back"],
    asked: Mapping[str, str | None],
    *,
    as_json: bool,
) -> None:
    """Move the champion as a person asks, written down; show who serves then."""
    from noria.promotion.by_hand import ByHand, promote_by_hand, roll_back

    by = ByHand(target.actor, str(asked["reason"]))
    ports: dict[str, Any] = {
        "artifacts": target.artifacts, "aliases": target.aliases, "clock": SystemClock()
    }  # fmt: skip

    def moved() -> AliasRecord:
        if operation == "promote":
            return promote_by_hand(project, str(asked["model_version"]), by, **ports)
        return roll_back(project, asked["to"], by, **ports)

    record = target.audited(operation, project, asked, moved)
    shown = f"champion of {record.project}: {record.champion} (was {record.previous_champion})"
    show(as_json, record._asdict(), lambda: shown)
