"""The messages project on a deployed stage: rows, trainings, promotions."""

from collections.abc import Callable
from typing import Any

from cli.samples.files import sample_files
from cli.target import Target
from cli.training import Source, TrainingEnd, new_run_id, run_training, upload
from noria.records.alias import Promotion

PROJECT = "messages"


def rows(n_rows: int = 700, project: str = PROJECT, **settings: Any) -> list[Source]:
    """Return sample files of a project."""
    return [*sample_files(project, n_rows=n_rows, **settings)]


def noisy_rows() -> list[Source]:
    """Return few rows with many wrong labels: what a better model can be trained against."""
    return rows(300, noise=0.35)


def train(
    target: Target,
    files: list[Source],
    *,
    project: str = PROJECT,
    run_id: str | None = None,
    follow: Callable[..., None] | None = None,
    recalibrates: bool = False,
) -> TrainingEnd:
    """Upload the files and train on them by the state machine."""
    keys = upload(target, project, files)
    return run_training(
        target, project, keys, run_id or new_run_id(), follow or (lambda *_: None),
        recalibrates=recalibrates,
    )  # fmt: skip


def promote(target: Target, version: str) -> None:
    """Make a version champion by hand."""
    revision = target.aliases.read(PROJECT).revision
    promotion = Promotion(
        PROJECT, f"t-{version}-{revision}", version, revision, "manual", "test", "test", "now"
    )
    target.aliases.apply(promotion)
