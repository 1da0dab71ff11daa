"""Where everything lies: keys of the data bucket, names of a project's state.

No other module spells a key.
"""

from noria.storage.hashing import short_id

# A dataset version, and the quarantine of a run.
TRAIN, TEST = "train/rows.jsonl.gz", "test/rows.jsonl.gz"
MANIFEST = "manifest.json"  # of a dataset version and of a model version, written last
QUARANTINED, QUARANTINE_REPORT = "rows.jsonl.gz", "report.json"
# A run: features and what is computed once for all candidates.
FEATURE_VIEW, ALL_ROWS, TARGETS = "features/view", "features/all.npz", "features/targets.npz"
FITTED = "features/fitted.json"  # written last: the features are whole
SELECTIONS = "features/selections.json"
PRIMARY_LAYER, FEATURE_LAYER = "layers/primary.jsonl.gz", "layers/features.csv.gz"
WATCHED = "watched.json"  # the words of texts that monitoring counts
SELECTION, EVALUATION, DECISION = "selection.json", "evaluation.json", "decision.json"
TEST_ANSWERS = "test_answers.npz"
# A candidate of a run.
SEARCH, RESULT, OUT_OF_FOLD = "search.json", "result.json", "out_of_fold.npz"
USUAL_ANSWERS = "usual_answers.npz"  # of a refit: to rows that nearly the same model had not seen
NO_RESULT = b"{}"  # body of a result that an attempt on other rows has made void
GOLDEN = "golden.jsonl.gz"  # and of a model version
REFERENCE = "reference.json.gz"  # and of a model version
REPORT_HTML, REPORT_JSON = "report.html", "report.json"  # of runs, checks, jobs and analyses
# A monitoring check, and what monitoring keeps between checks.
DRIFT, PERFORMANCE, RETRAINING = "drift.json", "performance.json", "retraining.json"
CURRENT, HISTORY, BASELINE = "current.json", "history.json", "baseline.json"
# A list of source files, where it is too long for a state machine.
SOURCE_KEYS = "source-keys.json"
ATTEMPTS, FIRST_SEEN = "attempts/", "inbox.json"
BATCHES = "batches/"  # which files each model version has been shown, by their content
# Records of a project's state, in the table.
SUSPICIONS, BATCH_SUSPICIONS = "drift_suspicions", "batch_suspicions"
APPROVAL = "pending_approval"
# A batch job.
JOB, OWNER, PLAN = "job.json", "owner.json", "plan.json"
OUTCOME, CANCELLED = "outcome.json", "cancelled.json"
BATCH_PROFILE = "profile.json.gz"  # of all rows that have an answer
_FILED_ROWS = ".npz"
REFUSED_SUFFIX = "-refused.jsonl.gz"  # of a result file: the rows without an answer


def fold_name(number: int, part: str) -> str:
    """Return the name of a fold's matrix inside its run; `part` is "fit" or "score"."""
    return f"features/fold_{number}_{part}.npz"


def inbox_key(project: str, sha256: str, filename: str) -> str:
    """Return where an uploaded source file goes; the hash makes equal uploads one object."""
    return f"inbox/{project}/{sha256[:16]}/{filename}"


def is_upload_of(key: str, sha256: str) -> bool:
    """Return whether a source file's key is that of some content, under any name."""
    return f"/{sha256[:16]}/" in key


def dataset_key(project: str, dataset_version: str, name: str) -> str:
    """Return a file of a dataset version: `train/…`, `test/…` or `manifest.json`."""
    return f"datasets/{project}/{dataset_version}/{name}"


def quarantine_key(project: str, run_id: str, name: str) -> str:
    """Return a file of the rows a run refused: `rows.jsonl.gz` or `report.json`."""
    return f"quarantine/{project}/{run_id}/{name}"


def run_key(project: str, run_id: str, name: str) -> str:
    """Return a working file of one training run."""
    return f"runs/{project}/{run_id}/{name}"


def report_key(project: str, run_id: str, name: str) -> str:
    """Return a file of a run's report, which outlives the run's working files."""
    return f"reports/{project}/{run_id}/{name}"


def refit_run_id(run_id: str) -> str:
    """Return the run id under which the files of a run's refit on all rows lie."""
    return f"{run_id}-refit"


def candidate_key(project: str, run_id: str, candidate: str, name: str) -> str:
    """Return a file one candidate of a run has written."""
    return run_key(project, run_id, f"candidates/{candidate}/{name}")


def model_key(project: str, model_version: str, name: str) -> str:
    """Return a file of a registered model version."""
    return f"models/{project}/{model_version}/{name}"


def inbox_prefix(project: str) -> str:
    """Return where all uploaded files of a project lie."""
    return f"inbox/{project}/"


def project_of_log(key: str) -> str:
    """Return the project of a chunk of the prediction log: `predictions/<project>/…`."""
    return key.split("/")[1]


def profile_key(project: str, model_version: str, hour: str, chunk: str) -> str:
    """Return the profile of what a version answered in an hour, of one chunk of the log."""
    return f"{profile_prefix(project, model_version, hour)}{chunk}.json.gz"


def profile_prefix(project: str, model_version: str, hour: str) -> str:
    """Return where the profiles of one hour lie."""
    return f"profiles/{project}/{model_version}/{hour}/"


def profiles_of_hours(project: str, model_version: str, beginning: str) -> str:
    """Return what the profiles of all hours whose names begin so have in common."""
    return profile_prefix(project, model_version, beginning).removesuffix("/")


def answers_key(project: str, hour: str, chunk: str) -> str:
    """Return the answers of an hour in one chunk of the log, kept to be joined with labels."""
    return f"{answers_prefix(project, hour)}{chunk}.jsonl.gz"


def filed_rows_key(
    project: str, hour: str, job_id: str, part: int, *, is_shadow: bool = False
) -> str:
    """Return the answers to one part of a batch of an hour, kept beside those of the log."""
    name = f"{batch_check_id(job_id)}-{part:06d}{'-shadow' if is_shadow else ''}"
    return f"{answers_prefix(project, hour)}{name}{_FILED_ROWS}"


def is_filed_rows(key: str) -> bool:
    """Return whether filed answers are those of a batch, by column."""
    return key.endswith(_FILED_ROWS)


def answers_prefix(project: str, hour: str) -> str:
    """Return where the answers of one hour lie."""
    return f"{answers_root(project)}{hour}/"


def answers_root(project: str) -> str:
    """Return where all answers of a project lie."""
    return f"answers/{project}/"


def hour_of_answers(key: str) -> str:
    """Return the hour that filed answers are of."""
    return "/".join(key.split("/")[2:-1])


def labels_key(project: str, hour: str, content_id: str) -> str:
    """Return a file of labels that came in an hour; equal labels are one object."""
    return f"{labels_prefix(project, hour)}{content_id}.json"


def labels_prefix(project: str, hour: str) -> str:
    """Return where the labels of one hour lie."""
    return f"labels/{project}/{hour}/"


def labels_of_hours(project: str, beginning: str) -> str:
    """Return what the labels of all hours whose names begin so have in common."""
    return labels_prefix(project, beginning).removesuffix("/")


def labels_inbox_prefix(project: str) -> str:
    """Return where files of labels are put."""
    return f"labels-inbox/{project}/"


def labels_file_key(project: str, source_key: str, name: str) -> str:
    """Return what became of a file of labels: `rows.jsonl.gz` that were refused, `report.json`."""
    return quarantine_key(project, f"labels-{short_id(source_key.encode())}", name)


def batch_inbox_prefix(project: str) -> str:
    """Return where files to score are put: in a folder of their own, by its job id, or loose."""
    return f"batch-inbox/{project}/"


def batch_schedule_prefix(project: str) -> str:
    """Return where files wait that are scored by a schedule."""
    return f"batch-scheduled/{project}/"


def batch_key(project: str, job_id: str, name: str) -> str:
    """Return a working file of one batch job."""
    return f"batches/{project}/{job_id}/{name}"


def part_key(project: str, job_id: str, kind: str, number: int) -> str:
    """Return a part of a job: `input`, `joined`, `answers`, `refused`, `profile`, `summary`.

    And `filed`: its answers by record id; `shadow`: those of the champion before.
    """
    return batch_key(project, job_id, f"{kind}/{number:06d}")


def batch_check_id(job_id: str) -> str:
    """Return the id of the check of a batch's rows; and its chunk in the log is called so."""
    return f"batch-{job_id}"


def is_of_batch(key: str) -> bool:
    """Return whether a profile of the log is of the rows of a batch."""
    return key.rpartition("/")[2].startswith("batch-")


def table_key(project: str, job_id: str, filename: str) -> str:
    """Return where a table lies that is joined to one job's rows alone."""
    return batch_key(project, job_id, f"tables/{filename}")


def batch_result_key(project: str, name: str) -> str:
    """Return a file of results, which outlive the job's working files."""
    return f"batch-results/{project}/{name}"


def batch_values_prefix(project: str) -> str:
    """Return where the spread of business values of each batch is kept."""
    return f"batch-results/{project}/values/"


def erasure_key(project: str, hashed_id: str) -> str:
    """Return where an erasure keeps the ids of a record's answers, for the next one."""
    return f"erasures/{project}/{hashed_id}.json"


def audit_key(number: int) -> str:
    """Return where the hash of an entry of the audit log is kept too."""
    return f"audit/{number:012d}"


def analysis_key(project: str, analysis_id: str, name: str) -> str:
    """Return a file of one analysis of rows: `drift.json`, `rows/…`, `features/…`."""
    return f"analyses/{project}/{analysis_id}/{name}"


def check_key(project: str, check_id: str, name: str) -> str:
    """Return a file of one monitoring check."""
    return f"monitoring/{project}/checks/{check_id}/{name}"


def metrics_key(project: str, date: str) -> str:
    """Return a day in numbers, as the last check of that day had it."""
    return monitoring_key(project, f"days/{date}.json")


def monitoring_key(project: str, name: str) -> str:
    """Return what monitoring keeps between checks: `current.json`, `history.json`."""
    return f"monitoring/{project}/{name}"
