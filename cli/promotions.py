"""Commands that show and move the champion: history, promote, rollback."""

from typing import Annotated

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
    from noria.promotion.by_hand import ByHand, promote_by_hand

    with told():
        name = checked(project)
        target = Target(stage)
        record = target.audited(
            "promote",
            name,
            {"model_version": model_version, "reason": reason},
            lambda: promote_by_hand(
                name,
                model_version,
                ByHand(target.actor, reason),
                artifacts=target.artifacts,
                aliases=target.aliases,
                clock=SystemClock(),
            ),
        )
        _show_moved(record, as_json=as_json)


def rollback(
    project: Project,
    to: Annotated[str | None, typer.Option(help="Version; default: the previous champion.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "rolled back by hand",
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Return to an earlier champion; served within seconds, nothing is redeployed."""
    from noria.promotion.by_hand import ByHand, roll_back

    with told():
        name, target = checked(project), Target(stage)
        record = target.audited(
            "roll_back",
            name,
            {"to": to, "reason": reason},
            lambda: roll_back(
                name,
                to,
                ByHand(target.actor, reason),
                artifacts=target.artifacts,
                aliases=target.aliases,
                clock=SystemClock(),
            ),
        )
        _show_moved(record, as_json=as_json)


def _show_moved(record: AliasRecord, *, as_json: bool) -> None:
    shown = f"champion of {record.project}: {record.champion} (was {record.previous_champion})"
    show(as_json, record._asdict(), lambda: shown)
