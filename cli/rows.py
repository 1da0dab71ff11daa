"""`noria analyze` and `noria features`: what rows are, beside a model and without one.

What they need is imported when they run: it takes seconds, and no other command waits for it.
"""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from cli.display import console, table
from cli.shared import Json, Project, Stage, checked, show, told
from cli.target import Target
from cli.training import named_sources, new_run_id, upload
from infra.names import LOCAL_STAGE as LOCAL
from infra.names import SPECS
from noria.storage.keys import DRIFT, REPORT_HTML


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("analyze")(analyze)
    app.command()(features)


def analyze(
    project: Project,
    rows: Annotated[list[str], typer.Argument(help="Files, or one s3:// address: a folder.")],
    *,
    spark: Annotated[
        bool, typer.Option(help="As a Glue job, whatever the size; an s3:// address always is.")
    ] = False,
    features: Annotated[
        bool, typer.Option("--features", help="Write the rows' features too, as Parquet.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Machines of the job.", min=2, max=299)] = 2,
    alert: Annotated[
        bool, typer.Option("--alert", help="Tell the project's people where the rows have drifted.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Folder for what is found.")] = None,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Compare rows with what the model was trained on; optionally build their features."""
    from cli.analysis import S3, Analysis, require_files, summary_table  # SciPy, pyarrow, pictures
    from noria.analysis.rows import recognised
    from noria.records.codec import encode, to_bytes
    from noria.reporting.analysis_report import render
    from noria.spec.loader import load_project

    with told():
        is_far = len(rows) == 1 and rows[0].startswith(S3)
        if is_far and not urlsplit(rows[0]).netloc:
            raise ValueError(f"{rows[0]} names no bucket; write s3://BUCKET/FOLDER/")
        if not is_far:
            require_files(rows)
        target, spec = Target(stage), load_project(checked(project), SPECS)
        work = Analysis(
            target, spec, target.aliases.read(project).require_champion(), features=features
        )
        folder = output or Path("analyses") / work.analysis_id
        if is_far or spark:
            report = work.on_spark(rows[0] if is_far else work.uploaded(rows), workers)
            report = recognised(report, tuple(work.trained_on(rows)))
        else:
            report = work.here(rows, folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DRIFT).write_bytes(to_bytes(report))
        page = render(report)
        (folder / REPORT_HTML).write_bytes(page)
        if alert and report.verdict == "drift":
            work.tell(report, page)
        show(as_json, encode(report), lambda: summary_table(report))
        if not as_json:
            for path in (folder / REPORT_HTML, folder / DRIFT):
                console.print(path, markup=False)
            if report.features:
                console.print(report.features.at, markup=False)


def features(
    project: Project,
    data: Annotated[
        list[Path],
        typer.Option(help="CSV or JSON lines, .gz allowed; repeat for several files."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder that the layers are written to.")
    ] = Path("features"),
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Turn rows into features as a training does, and write each layer as Parquet.

    Needs no champion and trains nothing. The layers are those of the training rows: accepted, with
    derived columns, as a feature matrix; and the records that were refused, with their reasons.
    Rows that are held out for the comparison stay unread. To train on what was computed:
    noria train PROJECT --from-features RUN
    """
    # Its learners take seconds to import, and no other command needs them.
    from cli.features import Layers
    from noria.spec.loader import load_spec
    from noria.steps.fit_feature_views import FitFeatureViewsRequest, fit_feature_views
    from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset

    with told():
        target, run = Target(stage), new_run_id()
        spec = load_spec(SPECS / f"{checked(project)}.toml")
        keys = upload(target, project, named_sources(data))
        here: dict[str, Any] = {"spec": spec, "artifacts": target.artifacts}

        def tell(text: str) -> None:
            if not as_json:
                console.print(text, markup=False)

        tell(f"run {run}: reading and splitting the rows")
        prepared = prepare_dataset(
            PrepareDatasetRequest(project, run, tuple(keys)), aliases=target.aliases, **here
        )
        if prepared.dataset_version is None:
            raise ValueError(
                "the rows cannot be trained on: "
                f"{'; '.join(prepared.reasons)}; refused records: {prepared.report_key}"
            )
        tell(f"{prepared.n_train:,} training rows; fitting features, fold by fold")
        fit_feature_views(FitFeatureViewsRequest(project, run, prepared.dataset_version), **here)
        layers = Layers(target, project, run, prepared.dataset_version, output).write()
        shown = {"run_id": run, "layers": [layer._asdict() for layer in layers]}
        columns = ("layer", "rows", "columns", "file")
        show(as_json, shown, lambda: table(f"{project}: layers of run {run}", columns, layers))
        tell(f"train on them: noria train {project} --from-features {run}")
