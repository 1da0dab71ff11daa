"""Heavy jobs on AWS Glue: look at rows that outgrow one machine, or train where the spec says so.

One script for all; `--task` says which. Glue gives a job arguments and no environment, so what
other functions find there comes as arguments too.
"""

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from noria.analysis.rows import ANALYZED_WITH, RowsAnalyzer, compared, kept_columns
from noria.errors import DatasetSchemaError, NoriaError, TrainingFailedError
from noria.records.codec import to_bytes
from noria.records.drift import AnalysisReport, WrittenFeatures
from noria.registry.versions import read_files
from noria.steps.fit_feature_views import FitFeatureViewsRequest, fit_feature_views
from noria.steps.train_candidate import TrainCandidateRequest, train_candidate
from noria.storage.keys import DRIFT, analysis_key
from noria_aws.aws.settings import CODE_VERSION, DATA_BUCKET, take_settings
from noria_aws.handlers.bootstrap import Services, bootstrap
from noria_aws.handlers.runtime import log_event, reason_of

NOTHING = "-"  # an argument that is not given: Glue knows no empty ones
# What the job reads of its arguments: always, and of each task.
ALWAYS = ("task", "data_bucket", "code_version", "project")
OPTIONS = {
    "fit": ("run_id", "dataset_version"),
    "train": ("run_id", "dataset_version", "candidate", "refit_of"),
    "analyze": ("analysis_id", "model_version", "rows", "features_to"),
}


def main() -> None:
    """Run the task that the arguments name; a fault ends the job with its reason."""
    task = job_options(sys.argv, ("task",))["task"]
    options = job_options(sys.argv, (*ALWAYS, *OPTIONS[task]))
    take_settings({DATA_BUCKET: options["data_bucket"], CODE_VERSION: options["code_version"]})
    try:
        _TASKS[task](options, bootstrap())
    except NoriaError:
        raise
    except Exception as error:  # noqa: BLE001 - the edge: Glue shows what is raised
        traceback.print_exc()  # into the job's log; what Glue shows may be told
        raise RuntimeError(reason_of(error)) from None


def job_options(argv: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Return named arguments: Glue's own `getResolvedOptions` where it is, else as it reads them.

    ValueError names the one that is missing.
    """
    try:
        from awsglue.utils import getResolvedOptions
    except ImportError:
        found = {}
        for name in names:
            if f"--{name}" not in argv[:-1]:
                raise ValueError(f"the job needs an argument --{name}") from None
            found[name] = argv[argv.index(f"--{name}") + 1]
        return found
    resolved: dict[str, str] = getResolvedOptions(argv, list(names))
    return {name: resolved[name] for name in names}


def fit(options: Mapping[str, str], services: Services) -> None:
    """Fit the feature views; workers clean and stem the texts."""
    from noria_aws.jobs.spark_rows import prepare_rows, session

    spark = session(f"noria fit {options['project']}")
    result = fit_feature_views(
        FitFeatureViewsRequest(options["project"], options["run_id"], options["dataset_version"]),
        spec=services.spec(options["project"]),
        artifacts=services.artifacts,
        prepare_rows=partial(prepare_rows, spark),
    )
    log_event("features_fitted", n_features=result.n_features, n_folds=result.n_folds)


def train(options: Mapping[str, str], services: Services) -> None:
    """Train one candidate; one that cannot be fitted is no fault: the others decide."""
    refit_of = options["refit_of"]
    request = TrainCandidateRequest(
        project=options["project"],
        run_id=options["run_id"],
        dataset_version=options["dataset_version"],
        candidate=options["candidate"],
        refit_of=None if refit_of == NOTHING else refit_of,
    )
    try:
        result = train_candidate(
            request,
            spec=services.spec(request.project),
            artifacts=services.artifacts,
            clock=services.clock,
            code=services.code_versions() | {"backend": "glue"},
        )
    except TrainingFailedError as error:
        log_event("candidate_failed", **error.to_dict())
    else:
        log_event("candidate_trained", metric=result.metric, cv_mean=result.cv_mean)


def analyze(options: Mapping[str, str], services: Services) -> None:
    """Compare rows with a model version's reference profile; build their features if asked to.

    Rows that cannot be read are an answer, not a fault.
    """
    project = options["project"]
    try:
        report = _report(options, services)
    except DatasetSchemaError as error:
        report = AnalysisReport(project, "rejected", reason=error.message)
    key = analysis_key(project, options["analysis_id"], DRIFT)
    services.artifacts.put(key, to_bytes(report))
    log_event("rows_analyzed", verdict=report.verdict, n_rows=report.n_rows)


def _report(options: Mapping[str, str], services: Services) -> AnalysisReport:
    from noria_aws.jobs.spark_rows import profile_rows, rows_at, session, write_features

    spec, version = services.spec(options["project"]), options["model_version"]
    files = read_files(services.artifacts, spec.name, version, ANALYZED_WITH)
    spark = session(f"noria analyze {spec.name}")
    rows = rows_at(spark, options["rows"], spec, files)
    reference = RowsAnalyzer(files).reference
    report = compared(spec, reference, profile_rows(rows, files), version)
    code = services.code_versions() | {"backend": "glue", "spark": spark.version}
    features = None
    if (place := options["features_to"]) != NOTHING:
        features = WrittenFeatures(write_features(rows, files, kept_columns(spec), place))
    # Whoever asked names the addresses: on the emulator they are folders here, soon gone.
    return replace(report, code=code, features=features)


_TASKS: Mapping[str, Callable[[Mapping[str, str], Services], None]] = {
    "fit": fit,
    "train": train,
    "analyze": analyze,
}

if __name__ == "__main__":
    main()
