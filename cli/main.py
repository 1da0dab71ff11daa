"""The commands. They print for people; those that answer take `--json` for scripts.

What a command alone needs (the spec's checks, numpy, the AWS SDK) it imports when it runs: help and
quick answers do not wait for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cli import (
    alerts,
    batch,
    cost,
    doctor,
    erasure,
    keys,
    operations,
    predict,
    promotions,
    restoration,
    rows,
    runs,
    spec_check,
)
from cli.display import (
    alerts_line,
    console,
    outcome_line,
    show_state,
    table,
)
from cli.runs import WORDS, Run, again_text, known_run, plain
from cli.samples.files import NOTES, sample_files
from cli.shared import Json, Project, Stage, checked, show, told
from cli.target import Target, answered
from cli.training import (
    Source,
    candidates_done,
    champion_to_refit,
    named_sources,
    new_run_id,
    run_training,
    upload,
)
from infra.names import LOCAL_STAGE as LOCAL
from infra.names import SPECS
from noria.storage.keys import (
    QUARANTINE_REPORT,
    SELECTION,
    quarantine_key,
    run_key,
)

if TYPE_CHECKING:
    from noria.spec.model import ProjectSpec

app = typer.Typer(
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Closed-loop machine learning on AWS, or on this machine with no account.\n\n"
    "Start here:  noria up  |  noria train tickets  |  noria predict tickets "
    "short_description='no puedo iniciar sesión'",
)


@app.command()
def up() -> None:
    """Start the embedded emulator and deploy the app to it. Quick when nothing changed."""
    with told():
        spec_check.require_right_specs()
        target = Target(LOCAL)
        assert target.emulator is not None
        started = target.emulator.start()
        console.print("emulator " + ("started" if started else "was running already"))
        from infra.local.deploy import deploy  # CDK's outputs, the AWS SDK

        deploy(target.emulator, console.print)
        console.print(f"API: {target.api_url}\nstop it: noria down")


@app.command()
def down() -> None:
    """Stop the embedded emulator; its state stays in .noria/ for the next `noria up`."""
    with told():
        target = Target(LOCAL)
        assert target.emulator is not None
        console.print("stopped" if target.emulator.stop() else "was not running")


@app.command()
def status(
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Show where the API is, what serves each project, and whom alerts reach."""
    with told():
        target = Target(stage)
        health = answered(target.call("GET", "/health")).body
        addresses = target.alert_addresses()
        data = {"stage": stage, "api_url": target.api_url, **health, "alert_addresses": addresses}
        rows = [
            (name, state["status"], state["model_version"], state["reason"])
            for name, state in health["projects"].items()
        ]
        show(as_json, data, lambda: table(f"{stage}: {target.api_url}", _STATUS_COLUMNS, rows))
        if not as_json and stage != LOCAL:
            console.print(alerts_line(addresses))


_STATUS_COLUMNS = ("project", "status", "champion", "reason")


@app.command()
def sample(
    project: Project,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A folder, or a file where there is only one.")
    ],
    rows: Annotated[
        int | None, typer.Option(help="Number of rows; default: as `noria train` uses.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal rows.")] = 42,
    noise: Annotated[float, typer.Option(help="Share of random labels.", min=0, max=1)] = 0.06,
    drift: Annotated[
        float, typer.Option(help="How far the world has moved, 0 to 1.", min=0, max=1)
    ] = 0.0,
    shuffle_labels: Annotated[bool, typer.Option(help="Make labels meaningless.")] = False,
) -> None:
    """Write sample data of a project, to train on or to look at."""
    with told():
        n_rows: dict[str, Any] = {} if rows is None else {"n_rows": rows}
        files = sample_files(
            checked(project),
            seed=seed,
            noise=noise,
            drift=drift,
            shuffle_labels=shuffle_labels,
            **n_rows,
        )
        if output.suffix and len(files) > 1:
            raise ValueError(f"{project} has {len(files)} sample files: name a folder for them")
        for name, body in files:
            path = output if output.suffix else output / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
            console.print(f"wrote {path} ({body.count(b'\n') - (path.suffix == '.csv')} rows)")
        if project in NOTES and not (rows or drift):
            console.print(f"note: {NOTES[project]}", markup=False)


@app.command()
def train(
    project: Project,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="CSV or JSON lines, .gz allowed; repeat for several files. "
            "Without it, and only locally, sample data."
        ),
    ] = None,
    run_id: Annotated[
        str | None, typer.Option(help="Continue this run: the same id does nothing twice.")
    ] = None,
    from_features: Annotated[
        str | None,
        typer.Option(help="Train on the features of this run of `noria features`.", metavar="RUN"),
    ] = None,
    refit: Annotated[
        bool, typer.Option(help="Use the parameters that the champion's run found; no search.")
    ] = False,
    recalibrate: Annotated[
        bool,
        typer.Option(
            "--recalibrate",
            help="Learn only the champion's probabilities anew, on rows new to it; "
            "where those are too few, train.",
        ),
    ] = False,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Train candidates on rows, compare with the champion, promote only what is better.

    Exit status 0 for every business outcome (ChallengerPromoted, ChampionKept,
    ChallengerRefused, DatasetRejected), 1 when the run failed.
    """
    from noria.promotion.gate import gates_in_force
    from noria.spec.loader import load_spec

    with told():
        target = Target(stage)
        spec = load_spec(SPECS / f"{checked(project)}.toml")
        refit_of = champion_to_refit(target, spec, refit=refit, recalibrate=recalibrate)
        asked = _asked_rows(target, spec, data, run_id, from_features)
        run, keys = asked.run_id, asked.keys
        if asked.known:  # it goes on as it began
            refit_of, recalibrate = asked.known.refit_of, asked.known.recalibrates

        def follow(state: str, what: str, seconds: float) -> None:
            if as_json:
                return
            if (what, state) == ("running", "TrainCandidates"):
                n = candidates_done(target, project, run)
                what = f"{n} of {len(spec.candidates)} candidates have ended"
            show_state(state, what, seconds)

        if not as_json:
            console.print(f"run {run} on {', '.join(asked.names)}")
            if not data and not from_features and project in NOTES:
                console.print(f"note: {NOTES[project]}", markup=False)
            console.print(f"gates: {'; '.join(gates_in_force(spec))}", markup=False)
        with _left_running(project, run):
            end = run_training(
                target, project, keys, run, follow, refit_of=refit_of, recalibrates=recalibrate
            )
        if end.status != "SUCCEEDED":
            raise RuntimeError(
                f"run {run} {WORDS[end.status]}: {plain(end.output['error'], end.output['cause'])}\n"
                f"the champion serves on; what it did: noria logs {project} {run}; run it again: "
                f"{again_text(project, run, stage)}"
            )
        if not as_json:
            _show_dropped(target, project, run)
            _show_candidates(target, project, run)
        show(as_json, end.output, lambda: outcome_line(end.output))
        if end.output["report"] and not as_json:
            console.print(f"read it: noria report {project} --run-id {run}", markup=False)


@contextmanager
def _left_running(project: str, run: str) -> Iterator[None]:
    """Say at Ctrl-C what goes on, and how to stop it."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(
            f"run {run} goes on without you; how far it is: noria logs {project} {run}; stop it: "
            f"noria cancel {project} {run}",
            markup=False,
        )
        raise typer.Exit(130) from None


class _AskedRows(NamedTuple):
    """What a training is asked to train on."""

    run_id: str
    names: list[str]  # of the files, for people
    keys: list[str]
    known: Run | None = None  # the run that is gone on with


def _asked_rows(
    target: Target,
    spec: "ProjectSpec",
    data: list[Path] | None, run_id: str | None, from_features: str | None,
) -> _AskedRows:  # fmt: skip
    """Return the run and its files: of features, of a known run, or uploaded now."""
    if from_features:
        keys = _keys_of_features(target, spec, from_features, data, run_id)
        return _AskedRows(from_features, [f"the features of run {from_features}"], keys)
    if run_id and not data and (known := known_run(target, spec.name, run_id)):
        return _AskedRows(run_id, [f"the files of run {run_id}"], [*known.source_keys], known)
    if not data and target.stage != LOCAL:
        raise ValueError(f"stage '{target.stage}' is real: name your rows with --data FILE")
    sources = _sources(spec.name, data)
    keys = upload(target, spec.name, sources)
    return _AskedRows(run_id or new_run_id(), [name for name, _ in sources], keys)


def _show_dropped(target: Target, project: str, run: str) -> None:
    """Say which classes, columns and rows the model was not trained on, and why."""
    from noria.records.codec import from_bytes
    from noria.records.dataset import ValidationReport
    from noria.reporting.words import dropped_texts

    key = quarantine_key(project, run, QUARANTINE_REPORT)
    texts = dropped_texts(from_bytes(ValidationReport, target.artifacts.get(key)))
    if texts:
        console.print("not trained on:")
    for text in texts:
        console.print(f"  {text}", markup=False)


def _show_candidates(target: Target, project: str, run: str) -> None:
    if not target.artifacts.exists(run_key(project, run, SELECTION)):
        return  # the run ended before a selection
    from noria.evaluation.runs import read_selection
    from noria.reporting.words import failed_candidates_text

    selection = read_selection(target.artifacts, project, run)
    rows = [(c.candidate, c.algorithm, f"{c.cv_mean:.4f}") for c in selection.candidates]
    title = f"Candidates by cross-validation; challenger: {selection.challenger}"
    console.print(table(title, ("candidate", "algorithm", selection.metric), rows))
    if failed := failed_candidates_text(selection):
        console.print(f"could not be fitted: {failed}", markup=False)


def _keys_of_features(
    target: Target, spec: "ProjectSpec", run: str, data: list[Path] | None, run_id: str | None
) -> list[str]:
    if data or run_id:
        raise ValueError(
            "--from-features names the run and its rows: leave out --data and --run-id"
        )
    from cli.features import sources_of_features
    from noria.spec.loader import spec_hash

    return sources_of_features(target, spec.name, run, spec_hash(spec))


def _sources(project: str, data: list[Path] | None) -> list[Source]:
    if not data:
        return [*sample_files(project)]
    return named_sources(data)


@app.command()
def demo(
    projects: Annotated[
        list[str] | None, typer.Argument(help="Default: all that have samples.")
    ] = None,
) -> None:
    """Do everything once on this machine: start, deploy, train, promote, predict."""
    from cli.demo import run

    with told():
        run(projects)


# Help lists them in this order, after the commands above: what one needs first comes first.
for module in (
    predict,
    spec_check,
    runs,
    operations,
    promotions,
    batch,
    keys,
    rows,
    doctor,
    alerts,
    cost,
    erasure,
    restoration,
):
    module.register(app)
