"""Where everything lies in the data bucket; no other module spells a key."""

# Files of a run that more than one step knows; of a candidate: RESULT and GOLDEN.
RESULT, GOLDEN, SELECTION = "result.json", "golden.jsonl.gz", "selection.json"
EVALUATION, TEST_ANSWERS, DECISION = "evaluation.json", "test_answers.npz", "decision.json"
REPORT_HTML, REPORT_JSON = "report.html", "report.json"
WATCHED = "watched.json"  # of a run: the words of texts that monitoring counts
REFERENCE = "reference.json.gz"  # of a candidate and of a model version
# Files of a monitoring check.
DRIFT, PERFORMANCE, RETRAINING = "drift.json", "performance.json", "retraining.json"
# Files of a batch job.
JOB, OWNER, PLAN = "job.json", "owner.json", "plan.json"
OUTCOME, CANCELLED = "outcome.json", "cancelled.json"
# What monitoring keeps between checks and more than one module knows.
CURRENT, BASELINE, APPROVAL = "current.json", "baseline.json", "approval.json"


def inbox_key(project: str, sha256: str, filename: str) -> str:
    """Return where an uploaded source file goes; the hash makes equal uploads one object."""
    return f"inbox/{project}/{sha256[:16]}/{filename}"


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


def answers_key(project: str, hour: str, chunk: str) -> str:
    """Return the answers of an hour in one chunk of the log, kept to be joined with labels."""
    return f"{answers_prefix(project, hour)}{chunk}.jsonl.gz"


def answers_prefix(project: str, hour: str) -> str:
    """Return where the answers of one hour lie."""
    return f"answers/{project}/{hour}/"


def labels_key(project: str, hour: str, content_id: str) -> str:
    """Return a file of labels that came in an hour; equal labels are one object."""
    return f"{labels_prefix(project, hour)}{content_id}.json"


def labels_prefix(project: str, hour: str) -> str:
    """Return where the labels of one hour lie."""
    return f"labels/{project}/{hour}/"


def batch_inbox_prefix(project: str) -> str:
    """Return where files to score are put: in a folder of their own, by its job id, or loose."""
    return f"batch-inbox/{project}/"


def batch_key(project: str, job_id: str, name: str) -> str:
    """Return a working file of one batch job."""
    return f"batches/{project}/{job_id}/{name}"


def part_key(project: str, job_id: str, kind: str, number: int) -> str:
    """Return a part of a batch job: of its `input`, `answers`, `refused` or `summary`."""
    return batch_key(project, job_id, f"{kind}/{number:06d}")


def batch_result_key(project: str, name: str) -> str:
    """Return a file of results, which outlive the job's working files."""
    return f"batch-results/{project}/{name}"


def batch_values_prefix(project: str) -> str:
    """Return where the spread of business values of each batch is kept."""
    return f"batch-results/{project}/values/"


def analysis_key(project: str, analysis_id: str, name: str) -> str:
    """Return a file of one analysis of rows: `drift.json`, `rows/…`, `features/…`."""
    return f"analyses/{project}/{analysis_id}/{name}"


def check_key(project: str, check_id: str, name: str) -> str:
    """Return a file of one monitoring check."""
    return f"monitoring/{project}/checks/{check_id}/{name}"


def monitoring_key(project: str, name: str) -> str:
    """Return what monitoring keeps between checks: `current.json`, `streaks.json`."""
    return f"monitoring/{project}/{name}"
