"""Where everything lies in the data bucket; no other module spells a key."""

# Files of a run that more than one step knows; of a candidate: RESULT and GOLDEN.
RESULT, GOLDEN, SELECTION = "result.json", "golden.jsonl.gz", "selection.json"
EVALUATION, TEST_ANSWERS, DECISION = "evaluation.json", "test_answers.npz", "decision.json"
REPORT_HTML, REPORT_JSON = "report.html", "report.json"


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
